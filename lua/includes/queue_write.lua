-- Write who joined queues and who left them in this step, and how often they have left a draw.
local function queue_write(desk)
  local keys = desk.keys
  for name in pairs(desk.leaves) do
    redis.call('ZREM', keys.waitlist, name)
    redis.call('HDEL', keys.waiting, name)
  end
  for name, times in pairs(desk.left) do
    redis.call('HSET', keys.left, name, times)
  end
  for name, place in pairs(desk.joins) do
    if place.score then
      redis.call('ZADD', keys.waitlist, place.score, name)
    end
    redis.call('HSET', keys.waiting, name, cmsgpack.pack({
      place.own, place.quantity, place.joined_at, place.times, place.address or false, place.nth,
    }))
  end
end
