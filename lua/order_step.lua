#!lua flags=allow-oom
-- purpose: record an order's next step before it is tried, and keep the worker's lease
-- returns: outcome moved (also where it is already there) with the time | elsewhere with the step it is in | gone
-- events: none
--- @include "answer"
--- @include "now_ms"
local orders_key = KEYS[1]  -- hash  order -> unfinished checkout
local pending_key = KEYS[2]  -- zset  order by the end of its lease
local order = ARGV[1]  -- string  which order
local known_step = ARGV[2]  -- string  the step it must be in
local next_step = ARGV[3]  -- string  the step it goes to
local reference = ARGV[4]  -- string  the provider's name for the payment, empty: unchanged
local reason = ARGV[5]  -- string  why the order comes to nothing, empty: unchanged
local lease_ms = tonumber(ARGV[6])  -- integer  how long no other worker resumes the order

local raw = redis.call('HGET', orders_key, order)
if not raw then
  return answer('gone')
end
local record = cmsgpack.unpack(raw)
if record.step ~= known_step and record.step ~= next_step then
  return answer('elsewhere', { step = record.step })
end
record.step = next_step
if reference ~= '' then
  record.reference = reference
end
if reason ~= '' then
  record.reason = reason
end
local now = now_ms()
redis.call('HSET', orders_key, order, cmsgpack.pack(record))
redis.call('ZADD', pending_key, now + lease_ms, order)
return answer('moved', { now = now })
