-- A hold from its record.
local function hold_unpack(record)
  local row = cmsgpack.unpack(record)
  return {
    drop = row[1], viewer = row[2], quantity = row[3], state = row[4],
    unit_price = row[5], expires_at = row[6], order = row[7],
  }
end
