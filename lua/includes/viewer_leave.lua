-- Takes a viewer out of one process; who is at no other process counts no more. Their seat is kept until `keep_until`.
local function viewer_leave(present_key, viewers_key, seats_key, gateway, viewer, keep_until)
  if redis.call('ZREM', present_key, gateway .. '\0' .. viewer) == 1
      and redis.call('HINCRBY', viewers_key, viewer, -1) == 0 then
    redis.call('HDEL', viewers_key, viewer)
    if keep_until then
      redis.call('ZADD', seats_key, keep_until, viewer)
    end
  end
end
