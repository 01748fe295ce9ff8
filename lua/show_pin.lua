-- purpose: put products before the viewers' eyes, replacing those that were there
-- returns: outcome moved; not-found; wrong-state where the show has ended
-- events: product.pinned
--- @include "answer"
--- @include "log_append"
--- @include "now_ms"
local show_key = KEYS[1]  -- hash  status, offset, pinned
local log_key = KEYS[2]  -- stream  the show's events
local live_key = KEYS[3]  -- channel  events and live numbers
local products = ARGV[1]  -- msgpack list  the products as the contract shows them

local state = redis.call('HGET', show_key, 'status')
if not state then
  return answer('not-found')
end
if state == 'ended' then
  return answer('wrong-state', { state = state })
end
redis.call('HSET', show_key, 'pinned', products)
log_append(show_key, log_key, live_key, now_ms(), { type = 'product.pinned' }, 'products', products)
return answer('moved')
