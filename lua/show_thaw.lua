-- purpose: end a show's freeze once its stock is rebuilt; it stays paused unless it is opened again with it
-- returns: outcome thawed with the show; not-found; elsewhere where it is not frozen, or by another rebuild since
-- events: show.resumed where it is opened
--- @include "answer"
--- @include "log_append"
--- @include "now_ms"
--- @include "show_view"
local show_key = KEYS[1]  -- hash  status, epoch, frozen
local drops_key = KEYS[2]  -- hash  drop -> terms
local due_key = KEYS[3]  -- zset  planned moves by time
local orders_key = KEYS[4]  -- hash  order -> unfinished checkout
local pending_key = KEYS[5]  -- zset  order by the end of its lease
local figures_key = KEYS[6]  -- hash  orders, units_sold, gmv
local buyers_key = KEYS[7]  -- hyperloglog  distinct viewers who ordered
local log_key = KEYS[8]  -- stream  the show's events
local live_key = KEYS[9]  -- channel  events and live numbers
local epoch = ARGV[1]  -- string  of the freeze that this ends
local open = tonumber(ARGV[2])  -- integer  1: a paused show is live again, 0: its host resumes it
local orders = cmsgpack.unpack(ARGV[3])  -- list  unfinished checkouts that a worker must go on with, as recorded
local figures = cmsgpack.unpack(ARGV[4])  -- map  what the ledger says was earned
local buyers = cmsgpack.unpack(ARGV[5])  -- list  viewers who ordered

local state = redis.call('HMGET', show_key, 'status', 'epoch', 'frozen')
if not state[1] then
  return answer('not-found')
end
if not state[3] or state[2] ~= epoch then
  return answer('elsewhere')
end
local now = now_ms()
for _, record in ipairs(orders) do
  redis.call('HSET', orders_key, record.id, cmsgpack.pack(record))
  redis.call('ZADD', pending_key, now, record.id)
end
for name, value in pairs(figures) do
  redis.call('HSET', figures_key, name, string.format('%.0f', value))
end
for _, viewer in ipairs(buyers) do
  redis.call('PFADD', buyers_key, viewer)
end
-- Where units and people wait for each other, a worker brings them together.
for _, drop in ipairs(redis.call('HKEYS', drops_key)) do
  redis.call('ZADD', due_key, 0, 'promote ' .. drop)
end
redis.call('HDEL', show_key, 'frozen')
if open == 1 and state[1] == 'paused' then
  redis.call('HSET', show_key, 'status', 'live')
  log_append(show_key, log_key, live_key, now, { type = 'show.resumed' })
end
return answer('thawed', { show = show_view(show_key) })
