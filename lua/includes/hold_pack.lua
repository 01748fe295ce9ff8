-- A hold's record: an array, short because there are many; what is usual stands at the end and is left out. It is put
-- together from its head, the number of its fields, and the fields: a table made for it would cost twice as much.
local function hold_pack(hold)
  local usual = cmsgpack.pack(
    hold.number, hold.viewer, hold.quantity, hold.state, hold.unit_price, hold.expires_at, hold.rank)
  if hold.returned then
    return '\155' .. usual .. cmsgpack.pack(hold.order, hold.deadline or 0, hold.address or '', hold.returned)
  elseif hold.address then
    return '\154' .. usual .. cmsgpack.pack(hold.order or '', hold.deadline or 0, hold.address)
  elseif hold.order ~= nil then
    return '\153' .. usual .. cmsgpack.pack(hold.order, hold.deadline or 0)
  end
  return '\151' .. usual
end
