-- purpose: close a drop for good, by the host, or by the clock when its time has come
-- returns: outcome moved with the drop; not-found; wrong-state where it is closed; early where the clock came too soon
-- events: drop.closed
--- @include "answer"
--- @include "drop_end"
--- @include "drop_read"
--- @include "drop_view"
--- @include "now_ms"
--- @include "stock_read"
local show_key = KEYS[1]  -- hash  offset
local drops_key = KEYS[2]  -- hash  drop -> terms
local stock_key = KEYS[3]  -- hash  drop -> numbers
local due_key = KEYS[4]  -- zset  scheduled moves by time
local log_key = KEYS[5]  -- stream  the show's events
local live_key = KEYS[6]  -- channel  events and live numbers
local drop = ARGV[1]  -- string  which drop
local by = ARGV[2]  -- string  host | clock

local terms = drop_read(drops_key, drop)
if not terms then
  return answer('not-found')
end
if terms.status == 'closed' then
  redis.call('ZREM', due_key, 'close ' .. drop)
  return answer('wrong-state', { state = terms.status })
end
local now = now_ms()
if by == 'clock' and (not terms.closes_at or terms.closes_at > now) then
  return answer('early')
end
local stock = stock_read(stock_key, drop)
local keys = {
  show = show_key, drops = drops_key, stock = stock_key, due = due_key, log = log_key, live = live_key,
}
drop_end(keys, drop, terms, stock, now)
return answer('moved', { drop = drop_view(terms, stock) })
