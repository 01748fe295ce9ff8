-- purpose: open a drop now, or start its countdown; by the host, or by the clock when its time has come
-- returns: outcome moved with the drop; not-found, show-not-live, wrong-state; early where the clock came too soon
-- events: drop.countdown | drop.opened
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
local stock_key = KEYS[3]  -- hash  drop -> numbers
local due_key = KEYS[4]  -- zset  scheduled moves by time
local log_key = KEYS[5]  -- stream  the show's events
local live_key = KEYS[6]  -- channel  events and live numbers
local drop = ARGV[1]  -- string  which drop
local countdown_ms = tonumber(ARGV[2])  -- integer  0: at once
local by = ARGV[3]  -- string  host | clock

local terms = drop_read(drops_key, drop)
if not terms then
  return answer('not-found')
end
local now = now_ms()
local waiting = terms.status == 'scheduled' or terms.status == 'countdown'
if by == 'clock' and waiting and (terms.opens_at or 0) > now then
  return answer('early')
end
if by == 'clock' and not waiting then
  redis.call('ZREM', due_key, 'open ' .. drop)
end
if not waiting or (terms.status == 'countdown' and countdown_ms > 0) then
  return answer('wrong-state', { state = terms.status })
end
local show_status = redis.call('HGET', show_key, 'status')
if show_status ~= 'live' then
  return answer('show-not-live', { state = show_status })
end

local stock = stock_read(stock_key, drop)
local event = { type = 'drop.opened' }
if countdown_ms > 0 then
  terms.status = 'countdown'
  terms.opens_at = now + countdown_ms
  redis.call('ZADD', due_key, terms.opens_at, 'open ' .. drop)
  event = { type = 'drop.countdown', opens_at = terms.opens_at }
else
  terms.status = 'open'
  terms.opens_at = now
  terms.opened_at = now
  redis.call('ZREM', due_key, 'open ' .. drop)
end
drop_write(drops_key, drop, terms)
stock_write(stock_key, drop, stock)
event.drop = drop_view(terms, stock)
log_append(show_key, log_key, live_key, now, event)
return answer('moved', { drop = event.drop })
