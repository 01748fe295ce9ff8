--- @include "desk_open"
-- A desk with the holds and the viewers of a whole batch on it, read in one command each.
local function batch_open(keys, batch)
  local desk = desk_open(keys, batch.skip)
  local ids, viewers = batch.ids, batch.viewers
  for i, record in ipairs(redis.call('HMGET', keys.holds, unpack(ids))) do
    desk.holds[ids[i]] = record
  end
  for i, record in ipairs(redis.call('HMGET', keys.mine, unpack(viewers))) do
    desk.mine[viewers[i]] = record
  end
  return desk
end
