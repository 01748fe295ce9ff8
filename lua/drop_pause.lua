-- purpose: stop taking units from an open drop for a while; what is held stays held
-- returns: outcome moved with the drop; not-found; wrong-state unless it is open
-- events: drop.paused
--- @include "drop_turn"
local show_key = KEYS[1]  -- hash  offset
local drops_key = KEYS[2]  -- hash  drop -> terms
local stock_key = KEYS[3]  -- hash  drop -> numbers
local log_key = KEYS[4]  -- stream  the show's events
local live_key = KEYS[5]  -- channel  events and live numbers
local drop = ARGV[1]  -- string  which drop

local keys = { show = show_key, drops = drops_key, stock = stock_key, log = log_key, live = live_key }
return drop_turn(keys, drop, 'open', 'paused', 'drop.paused')
