--- @include "desk_forget"
--- @include "desk_keep"
-- After units were given to somebody in the queue: let them out of it, or let them wait on for the rest.
local function desk_unqueue(desk, drop, place, given, done)
  drop.changed = true
  desk_forget(desk, place.viewer, -drop.number, place.own)
  if done then
    drop.stock.waiting = drop.stock.waiting - 1
    desk.places[place.name], desk.joins[place.name], desk.leaves[place.name] = false, nil, true
    return
  end
  place.quantity = place.quantity - given
  place.times = place.times + 1
  desk_keep(desk, place.viewer, -drop.number, place.quantity, place.own)
  desk.joins[place.name] = place
end
