--- @include "batch_join_refusal"
--- @include "desk_drop"
--- @include "desk_hold"
--- @include "desk_join"
--- @include "desk_promote"
--- @include "queue_record"
-- Let a viewer wait for units of a drop, or enter its draw; the place's numbers are filled in once all is written,
-- because units that are there are given at once. A repeat finds its place, or what was served from it, before
-- anything can refuse it.
local function batch_join(desk, ask)
  local drop = desk_drop(desk, ask.drop)
  if not drop then
    return { 'not-found' }
  end
  local place = queue_record(desk, drop, ask.viewer)
  if place and place.own == ask.own then
    return { 'waiting', place = place }
  elseif desk_hold(desk, ask.own) then
    return { 'waiting', 0 }
  end
  local refusal = batch_join_refusal(desk, drop, ask, place)
  if refusal then
    return refusal
  end
  place = desk_join(desk, drop, ask.viewer, ask.own, ask.quantity, ask.address)
  desk_promote(desk, drop)
  return { 'waiting', place = place }
end
