--- @include "desk_mine"
-- Put a reservation, or a place in a queue (its number below zero), to what its viewer has.
local function desk_keep(desk, viewer, number, quantity, own)
  local mine = desk.mine[viewer]
  if mine == false then
    mine = { number, quantity, own }
    desk.mine[viewer] = mine
  else
    mine = desk_mine(desk, viewer)
    local last = #mine
    mine[last + 1], mine[last + 2], mine[last + 3] = number, quantity, own
  end
  desk.owners[viewer] = mine
end
