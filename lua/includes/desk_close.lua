--- @include "award_log"
--- @include "desk_promote"
--- @include "desk_tell"
--- @include "desk_turn"
--- @include "desk_write"
--- @include "queue_write"
--- @include "tell_viewer"
-- Write what was changed on the desk. What came back goes to who waits: that still reads. From then on there are only
-- writes, which nothing can refuse: all records, the events, the award log, and last what is told.
local function desk_close(desk)
  for _, drop in ipairs(desk.drops) do
    if drop.changed then
      desk_promote(desk, drop)
    end
  end
  queue_write(desk)
  desk_write(desk)
  desk_turn(desk)
  for _, drop in ipairs(desk.drops) do
    if drop.changed then
      award_log(desk, drop)
      desk_tell(desk, drop)
    end
  end
  if desk.unmet > 0 then
    redis.call('HINCRBY', desk.keys.figures, 'unmet_demand', desk.unmet)
  end
  for _, told in ipairs(desk.told) do
    tell_viewer(desk.keys.live, told[1], told[2])
  end
end
