-- A hold from its record. The state is a number: 1 held, 2 paying, 3 sold, 4 released, 5 expired.
-- `deadline` is when the units of one that is being paid can lapse; a rank is its place among the drop's awards.
-- Of one that is sold, some units may have been `returned`: they are on sale again.
local function hold_unpack(record)
  local row = cmsgpack.unpack(record)
  return {
    number = row[1], viewer = row[2], quantity = row[3], state = row[4], unit_price = row[5],
    expires_at = row[6], rank = row[7], order = row[8], deadline = row[9], address = row[10] ~= '' and row[10] or nil,
    returned = row[11],
  }
end
