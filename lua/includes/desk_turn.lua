--- @include "drop_write"
--- @include "log_append"
-- Write what became of the drops of a step: terms that changed, planned moves that are off, and their events.
local function desk_turn(desk)
  local keys = desk.keys
  for _, drop in ipairs(desk.drops) do
    if drop.turned then
      drop_write(keys.drops, drop.id, drop.terms)
    end
  end
  if #desk.undue > 0 then
    redis.call('ZREM', keys.due, unpack(desk.undue))
  end
  for _, event in ipairs(desk.events) do
    log_append(keys.show, keys.log, keys.live, desk.now, event)
  end
end
