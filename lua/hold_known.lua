#!lua flags=allow-oom
-- purpose: say which of those that ask for what is known to be gone a process may not refuse by itself, and count the
--   wish of the others
-- returns: a list with 1 for each that only a step of the inventory can answer: a repeat, a viewer who has something in
--   the show already (the limit may be why), a drop that is not on sale any more or has units again; else 0
-- events: none
--- @include "drop_read"
--- @include "stock_read"
local show_key = KEYS[1]  -- hash  status
local drops_key = KEYS[2]  -- hash  drop -> terms
local stock_key = KEYS[3]  -- hash  drop -> numbers
local holds_key = KEYS[4]  -- hash  reservation -> hold
local mine_key = KEYS[5]  -- hash  viewer -> reservations
local figures_key = KEYS[6]  -- hash  unmet_demand
local reservations = cmsgpack.unpack(ARGV[1])  -- list  own parts of ids
local viewers = cmsgpack.unpack(ARGV[2])  -- list  who asks
local drops = cmsgpack.unpack(ARGV[3])  -- list  for what
local quantities = cmsgpack.unpack(ARGV[4])  -- list  for how many units

local live = redis.call('HGET', show_key, 'status') == 'live'
local repeats = redis.call('HMGET', holds_key, unpack(reservations))
local mine = redis.call('HMGET', mine_key, unpack(viewers))
local known, gone, unmet = {}, {}, 0
for i, drop in ipairs(drops) do
  if gone[drop] == nil then
    local terms = live and drop_read(drops_key, drop)
    gone[drop] = terms and terms.status == 'open' and stock_read(stock_key, drop).available == 0 or false
  end
  local open = repeats[i] or mine[i] or not gone[drop]
  known[i] = open and 1 or 0
  unmet = unmet + (open and 0 or quantities[i])
end
if unmet > 0 then
  redis.call('HINCRBY', figures_key, 'unmet_demand', unmet)
end
return known
