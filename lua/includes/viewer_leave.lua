-- Takes a viewer out of one process; who is at no other process counts no more.
local function viewer_leave(present_key, viewers_key, gateway, viewer)
  if redis.call('ZREM', present_key, gateway .. '\0' .. viewer) == 1
      and redis.call('HINCRBY', viewers_key, viewer, -1) == 0 then
    redis.call('HDEL', viewers_key, viewer)
  end
end
