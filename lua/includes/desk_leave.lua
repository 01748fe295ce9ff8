--- @include "desk_forget"
--- @include "desk_note"
--- @include "draw_left"
--- @include "queue_record"
-- Take a viewer out of a drop's queue; false where they do not stand in it.
local function desk_leave(desk, drop, viewer)
  local place = queue_record(desk, drop, viewer)
  if not place then
    return false
  end
  if drop.terms.mode == 'draw' then
    desk.left[place.name] = draw_left(desk, place.name) + 1
  end
  drop.stock.waiting = drop.stock.waiting - 1
  drop.changed = true
  desk_forget(desk, viewer, -drop.number, place.own)
  desk.places[place.name] = false
  desk.joins[place.name] = nil
  desk.leaves[place.name] = true
  if drop.terms.mode == 'draw' then
    desk_note(drop, 'left', place.own, 0, place.nth)
    desk.scores[place.score or tonumber(redis.call('ZSCORE', desk.keys.waitlist, place.name))] = false
  end
  return true
end
