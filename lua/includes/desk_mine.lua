-- What a viewer has in the show, on the desk: number, quantity and id of each reservation, one after the other, oldest
-- first; those that were let go have no units; a place in a queue has its number below zero. Who changes it puts
-- the viewer into `desk.owners`.
local function desk_mine(desk, viewer)
  local mine = desk.mine[viewer]
  if mine == nil then
    mine = redis.call('HGET', desk.keys.mine, viewer)
  end
  if type(mine) ~= 'table' then
    mine = mine and cmsgpack.unpack(mine) or {}
    desk.mine[viewer] = mine
  end
  return mine
end
