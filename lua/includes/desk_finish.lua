--- @include "desk_mine"
-- Count a reservation that was let go for nothing any more. It stays in what its viewer has, with no units: who did
-- not hear of it is told when they are shown where they stand. Of those the newest 8 are kept.
local function desk_finish(desk, viewer, own)
  local mine, finished, oldest = desk_mine(desk, viewer), 0, nil
  for i = 1, #mine, 3 do
    if mine[i + 2] == own and mine[i] > 0 then
      mine[i + 1] = 0
    end
    if mine[i] > 0 and mine[i + 1] == 0 then
      finished = finished + 1
      oldest = oldest or i
    end
  end
  if finished > 8 then
    for _ = 1, 3 do
      table.remove(mine, oldest)
    end
  end
  desk.owners[#desk.owners + 1] = viewer
end
