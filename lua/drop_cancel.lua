-- purpose: call a countdown off: the drop is planned again, and opens when the host says so
-- returns: outcome moved with the drop; not-found; wrong-state unless its countdown runs
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
local stock_key = KEYS[3]  -- hash  drop -> numbers
local due_key = KEYS[4]  -- zset  planned moves by time
local log_key = KEYS[5]  -- stream  the show's events
local live_key = KEYS[6]  -- channel  events and live numbers
local drop = ARGV[1]  -- string  which drop

local terms = drop_read(drops_key, drop)
if not terms then
  return answer('not-found')
end
if terms.status ~= 'countdown' then
  return answer('wrong-state', { state = terms.status })
end
local stock = stock_read(stock_key, drop)
terms.status = 'scheduled'
terms.opens_at = nil
redis.call('ZREM', due_key, 'open ' .. drop)
drop_write(drops_key, drop, terms)
stock_write(stock_key, drop, stock)
local view = drop_view(terms, stock)
log_append(show_key, log_key, live_key, now_ms(), { type = 'drop.scheduled', drop = view })
return answer('moved', { drop = view })
