#!lua flags=allow-oom
-- purpose: stop taking units from an open drop for a while; what is held stays held
-- returns: outcome moved with the drop; not-found; wrong-state unless it is open
-- events: drop.paused
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
local log_key = KEYS[4]  -- stream  the show's events
local live_key = KEYS[5]  -- channel  events and live numbers
local drop = ARGV[1]  -- string  which drop

local terms = drop_read(drops_key, drop)
if not terms then
  return answer('not-found')
end
if terms.status ~= 'open' then
  return answer('wrong-state', { state = terms.status })
end
local stock = stock_read(stock_key, drop)
terms.status = 'paused'
drop_write(drops_key, drop, terms)
stock_write(stock_key, drop, stock)
log_append(show_key, log_key, live_key, now_ms(), { type = 'drop.paused', drop_id = drop })
return answer('moved', { drop = drop_view(terms, stock) })
