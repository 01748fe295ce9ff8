-- A hold by its reservation id, or nil.
local function hold_read(holds_key, reservation)
  local raw = redis.call('HGET', holds_key, reservation)
  if not raw then
    return nil
  end
  local row = cmsgpack.unpack(raw)
  return {
    drop = row[1], viewer = row[2], quantity = row[3], state = row[4],
    unit_price = row[5], expires_at = row[6], order = row[7],
  }
end
