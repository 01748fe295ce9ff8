--- @include "hold_unpack"
-- A hold on the desk by its own part of the id, or nil. Who changes it puts its name into `desk.fresh`.
local function desk_hold(desk, own)
  local known = desk.holds[own]
  if known == nil then
    local record = redis.call('HGET', desk.keys.holds, own)
    known = record and hold_unpack(record)
    desk.holds[own] = known
  elseif type(known) == 'string' then
    known = hold_unpack(known)
    desk.holds[own] = known
  end
  return known or nil
end
