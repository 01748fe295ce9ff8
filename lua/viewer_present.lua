-- purpose: keep who is here, by viewer and with a lease, and count them
-- returns: outcome counted with the count
-- events: the live viewer count, where it changed
--- @include "answer"
--- @include "now_ms"
local show_key = KEYS[1]  -- hash  the show
local present_key = KEYS[2]  -- zset  viewer by the end of the lease
local audience_key = KEYS[3]  -- hyperloglog  distinct viewers who came
local figures_key = KEYS[4]  -- hash  viewers, peak_viewers
local live_key = KEYS[5]  -- channel  events and live numbers
local here = cmsgpack.unpack(ARGV[1])  -- list  viewers who are here
local left = cmsgpack.unpack(ARGV[2])  -- list  viewers whose last socket went
local lease_ms = tonumber(ARGV[3])  -- integer  how long a viewer counts without being heard of

-- A show that is gone, or about to be, gets no new keys that would outlive it.
if redis.call('PTTL', show_key) ~= -1 then
  return answer('counted', { count = 0 })
end
local now = now_ms()
for _, viewer in ipairs(here) do
  redis.call('ZADD', present_key, now + lease_ms, viewer)
  redis.call('PFADD', audience_key, viewer)
end
for _, viewer in ipairs(left) do
  redis.call('ZREM', present_key, viewer)
end
redis.call('ZREMRANGEBYSCORE', present_key, '-inf', now)
local count = redis.call('ZCARD', present_key)
local known = redis.call('HMGET', figures_key, 'viewers', 'peak_viewers')
if count ~= tonumber(known[1] or '0') then
  redis.call('HSET', figures_key, 'viewers', count, 'peak_viewers', math.max(count, tonumber(known[2] or '0')))
  redis.call('SPUBLISH', live_key, 'c\n' .. cmsgpack.pack({ type = 'viewers.updated', count = count }))
end
return answer('counted', { count = count })
