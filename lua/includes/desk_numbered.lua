--- @include "desk_drop"
-- The drop of a number on the desk: holds and places in a queue name theirs by it, which is short.
local function desk_numbered(desk, number)
  local numbered = desk.numbered
  numbered[number] = numbered[number] or desk_drop(desk, redis.call('HGET', desk.keys.numbers, number))
  return numbered[number]
end
