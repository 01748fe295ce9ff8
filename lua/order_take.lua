#!lua flags=allow-oom
-- purpose: give whoever heard that an order's payment may have moved the order, under a fresh lease
-- returns: outcome taken with the order and the time | busy where somebody works on it, or has just looked | gone
-- events: none
--- @include "answer"
--- @include "now_ms"
local orders_key = KEYS[1]  -- hash  order -> unfinished checkout
local pending_key = KEYS[2]  -- zset  order by the end of its lease
local order = ARGV[1]  -- string  which order
local fresh_ms = tonumber(ARGV[2])  -- integer  how long a look at one whose buyer has to act is good for
local lease_ms = tonumber(ARGV[3])  -- integer  how long it is the caller's alone

local raw, lease = redis.call('HGET', orders_key, order), redis.call('ZSCORE', pending_key, order)
if not raw or not lease then
  return answer('gone')
end
local record, now = cmsgpack.unpack(raw), now_ms()
local acting = record.step == 'acting'
-- Nobody works on an order that waits for its buyer: all who hear of it may look.
if acting and now - record.looked_at < fresh_ms or not acting and tonumber(lease) > now then
  return answer('busy')
end
if acting then
  record.looked_at = now
  redis.call('HSET', orders_key, order, cmsgpack.pack(record))
else
  redis.call('ZADD', pending_key, now + lease_ms, order)
end
return answer('taken', { order = record, now = now })
