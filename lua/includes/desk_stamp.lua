-- What the records of all holds of a step for so many units of a drop until `expires_at` have in common, packed once:
-- the number of the drop, the terms from the units to the deadline, and the beginning of what a viewer has (`mine`).
local function desk_stamp(drop, quantity, expires_at)
  local stamp = drop.stamps[quantity]
  if not stamp or stamp.expires_at ~= expires_at then
    stamp = {
      expires_at = expires_at,
      number = cmsgpack.pack(drop.number),
      terms = cmsgpack.pack(quantity, 1, drop.terms.unit_price, expires_at),
      mine = '\147' .. cmsgpack.pack(drop.number, quantity),
    }
    drop.stamps[quantity] = stamp
  end
  return stamp
end
