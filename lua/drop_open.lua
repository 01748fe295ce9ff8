-- purpose: open a drop now, or start its countdown; by the host, or by the clock when its time has come
-- returns: outcome moved with the drop; not-found, wrong-state; early where the clock came too soon; show-not-live: the
--   clock comes again in a second
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
local due_key = KEYS[4]  -- zset  planned moves by time
local log_key = KEYS[5]  -- stream  the show's events
local live_key = KEYS[6]  -- channel  events and live numbers
local seeds_key = KEYS[7]  -- hash  drop -> its secret seed
local drop = ARGV[1]  -- string  which drop
local countdown_ms = tonumber(ARGV[2])  -- integer  0: at once
local by = ARGV[3]  -- string  host | clock
local seed = ARGV[4]  -- string  a fresh secret, should this open a draw
local seed_hash = ARGV[5]  -- string  its SHA-256, told at once

local terms = drop_read(drops_key, drop)
if not terms then
  return answer('not-found')
end
local now = now_ms()
local waiting = terms.status == 'scheduled' or terms.status == 'countdown'
-- No time at all: its countdown was called off since the clock looked.
if by == 'clock' and waiting and (not terms.opens_at or terms.opens_at > now) then
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
  -- What is due next has its turn meanwhile.
  if by == 'clock' then
    redis.call('ZADD', due_key, now + 1000, 'open ' .. drop)
  end
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
  if terms.mode == 'draw' then
    terms.seed_hash = seed_hash
    redis.call('HSET', seeds_key, drop, seed)
  end
  for _, wave in ipairs(terms.waves or {}) do
    wave.at = wave.at or wave.after_seconds and now + wave.after_seconds * 1000
  end
  local first = terms.waves and terms.waves[1]
  if first and first.at then
    redis.call('ZADD', due_key, first.at, 'wave ' .. drop)
  end
end
drop_write(drops_key, drop, terms)
stock_write(stock_key, drop, stock)
event.drop = drop_view(terms, stock)
log_append(show_key, log_key, live_key, now, event)
return answer('moved', { drop = event.drop })
