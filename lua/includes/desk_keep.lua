--- @include "desk_mine"
-- Put a reservation, or a place in a queue (its number below zero), to what its viewer has. Of who has nothing else it
-- is on the desk as the record to be written, where its beginning is known (`packed`); `desk_mine` reads it.
local function desk_keep(desk, viewer, number, quantity, own, packed)
  local mine, owners = desk.mine[viewer], desk.owners
  if packed and mine == false then
    desk.mine[viewer] = packed .. cmsgpack.pack(own)
  else
    mine = desk_mine(desk, viewer)
    local last = #mine
    mine[last + 1], mine[last + 2], mine[last + 3] = number, quantity, own
  end
  owners[#owners + 1] = viewer
end
