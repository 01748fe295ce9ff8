#!lua flags=allow-oom
-- purpose: give a worker the unfinished orders that nobody works on any more, under a fresh lease
-- returns: outcome leased with the orders and the time
-- events: none
--- @include "answer"
--- @include "now_ms"
local orders_key = KEYS[1]  -- hash  order -> unfinished checkout
local pending_key = KEYS[2]  -- zset  order by the end of its lease
local lease_ms = tonumber(ARGV[1])  -- integer  how long they are this worker's alone
local limit = tonumber(ARGV[2])  -- integer  the most to give

local now = now_ms()
local orders = {}
for _, order in ipairs(redis.call('ZRANGEBYSCORE', pending_key, '-inf', now, 'LIMIT', 0, limit)) do
  local raw = redis.call('HGET', orders_key, order)
  if raw then
    local record = cmsgpack.unpack(raw)
    local waits = record.step == 'acting' and record.deadline_at > now
    redis.call('ZADD', pending_key, math.min(now + lease_ms, waits and record.deadline_at or math.huge), order)
    orders[#orders + 1] = record
  else
    redis.call('ZREM', pending_key, order)
  end
end
return answer('leased', { orders = orders, now = now })
