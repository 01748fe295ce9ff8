#!lua flags=allow-oom
-- purpose: forget an order's working record once the ledger has all of it, and tell its viewer
-- returns: outcome settled, also on a repeat
-- events: order.updated to its viewer's sockets
--- @include "answer"
--- @include "tell_viewer"
local orders_key = KEYS[1]  -- hash  order -> unfinished checkout
local pending_key = KEYS[2]  -- zset  order by the end of its lease
local live_key = KEYS[3]  -- channel  events and live numbers
local order = ARGV[1]  -- string  which order
local viewer = ARGV[2]  -- string  whose
local view = cmsgpack.unpack(ARGV[3])  -- map  the order as the contract shows it

if redis.call('HDEL', orders_key, order) == 1 then
  tell_viewer(live_key, viewer, { type = 'order.updated', order = view })
end
redis.call('ZREM', pending_key, order)
return answer('settled')
