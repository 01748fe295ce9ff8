--- @include "desk_drop"
--- @include "desk_hold"
--- @include "queue_record"
-- What an operation's first run made, or nil: the first of its holds that is there; and where it took in part and
-- waits, its place. What was served from that place has an id of its own, which the operation goes by from then on.
local function batch_repeat(desk, asks)
  local one = asks[1]
  local drop = one.part and not desk_hold(desk, one.own) and desk_drop(desk, one.drop)
  if drop then
    local place = queue_record(desk, drop, one.viewer)
    if place and place.own == one.own .. 'w' then
      return nil, place
    end
    one.own = desk_hold(desk, one.own .. 'w') and one.own .. 'w' or one.own
  end
  for _, ask in ipairs(asks) do
    local hold = desk_hold(desk, ask.own)
    if hold then
      return hold
    end
  end
end
