-- purpose: put a scheduled drop into a show
-- returns: outcome created | replayed with the drop; not-found; wrong-state where the show has ended; limit-reached
-- events: drop.scheduled
--- @include "answer"
--- @include "drop_read"
--- @include "drop_view"
--- @include "drop_write"
--- @include "log_append"
--- @include "now_ms"
--- @include "stock_read"
--- @include "stock_write"
local show_key = KEYS[1]  -- hash  status, offset
local drops_key = KEYS[2]  -- hash  drop -> terms
local numbers_key = KEYS[3]  -- hash  number -> drop
local stock_key = KEYS[4]  -- hash  drop -> numbers
local due_key = KEYS[5]  -- zset  planned moves by time
local log_key = KEYS[6]  -- stream  the show's events
local live_key = KEYS[7]  -- channel  events and live numbers
local drop = ARGV[1]  -- string  its id
local terms = cmsgpack.unpack(ARGV[2])  -- map  everything of the drop but its numbers
local quantity = tonumber(ARGV[3])  -- integer  units offered
local most = tonumber(ARGV[4])  -- integer  drops a show may have

local state = redis.call('HGET', show_key, 'status')
if not state then
  return answer('not-found')
end
local known = drop_read(drops_key, drop)
if known then
  return answer('replayed', { drop = drop_view(known, stock_read(stock_key, drop)) })
end
if state == 'ended' then
  return answer('wrong-state', { state = state })
end
if redis.call('HLEN', drops_key) >= most then
  return answer('limit-reached', { limit = most })
end

local now = now_ms()
terms.status = 'scheduled'
terms.created_at = now
terms.number = redis.call('HLEN', drops_key) + 1
redis.call('HSET', numbers_key, terms.number, drop)
local stock = {
  available = quantity, held = 0, sold = 0, quantity = quantity, revision = 0, sold_out_at = 0, told_at = 0, owed = 0,
  awards = 0, chain = redis.sha1hex(drop), waiting = 0, joined = 0, backlog = 0, gone_at = 0,
}
drop_write(drops_key, drop, terms)
stock_write(stock_key, drop, stock)
if terms.opens_at then
  redis.call('ZADD', due_key, terms.opens_at, 'open ' .. drop)
end
if terms.closes_at then
  redis.call('ZADD', due_key, terms.closes_at, 'close ' .. drop)
end
local view = drop_view(terms, stock)
log_append(show_key, log_key, live_key, now, { type = 'drop.scheduled', drop = view })
return answer('created', { drop = view })
