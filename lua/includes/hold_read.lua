--- @include "hold_unpack"
-- A hold by its reservation id, or nil.
local function hold_read(holds_key, reservation)
  local raw = redis.call('HGET', holds_key, reservation)
  return raw and hold_unpack(raw) or nil
end
