--- @include "desk_mine"
-- Take a place in a queue (its drop's number below zero) off what its viewer has. An id alone does not say which: who
-- was served in part waits on under the same one, and places of two drops can share one.
local function desk_forget(desk, viewer, number, own)
  local mine = desk_mine(desk, viewer)
  for i = 3, #mine, 3 do
    if mine[i] == own and mine[i - 2] == number then
      for _ = 1, 3 do
        table.remove(mine, i - 2)
      end
      desk.owners[#desk.owners + 1] = viewer
      return
    end
  end
end
