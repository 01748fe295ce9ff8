#!lua flags=allow-oom
-- purpose: tell a viewer what became of their order, once the ledger has it
-- returns: outcome told
-- events: order.updated to its viewer's sockets
--- @include "answer"
--- @include "tell_viewer"
local live_key = KEYS[1]  -- channel  events and live numbers
local viewer = ARGV[1]  -- string  whose
local view = cmsgpack.unpack(ARGV[2])  -- map  the order as the contract shows it

tell_viewer(live_key, viewer, { type = 'order.updated', order = view })
return answer('told')
