--- @include "desk_mine"
-- How many units a viewer has: of one drop, in the whole show, and asked for in the drop's queue.
local function desk_count(desk, viewer, number)
  if desk.mine[viewer] == false then
    return 0, 0, 0
  end
  local mine = desk_mine(desk, viewer)
  local drop, show, queued = 0, 0, 0
  for i = 1, #mine, 3 do
    local quantity = mine[i + 1]
    if mine[i] == number then
      drop = drop + quantity
    elseif mine[i] == -number then
      queued = quantity
    end
    if mine[i] > 0 then
      show = show + quantity
    end
  end
  return drop, show, queued
end
