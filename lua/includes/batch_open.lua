--- @include "desk_open"
-- A desk for a whole batch, whose holds and viewers' lists are read in one command each: of the operation at `i` they
-- are `known[i]` and `listed[i]`, false where there is none. `batch_award` and `batch_read` put them on the desk.
local function batch_open(keys, batch)
  local desk = desk_open(keys, batch.skip)
  desk.known = redis.call('HMGET', keys.holds, unpack(batch.ids))
  desk.listed = redis.call('HMGET', keys.mine, unpack(batch.viewers))
  return desk
end
