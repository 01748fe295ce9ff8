#!lua flags=allow-oom
-- purpose: sell the units of an authorized order, all or nothing; what lapsed while the provider thought is taken again
-- returns: outcome finalized (also on a repeat) | lost where units are gone | elsewhere with the step it is in | gone |
--   frozen while the stock is rebuilt: nothing is decided then
-- events: the live stock; each reservation (now sold) to its viewer's sockets
--- @include "answer"
--- @include "desk_close"
--- @include "desk_hold"
--- @include "desk_numbered"
--- @include "desk_open"
--- @include "desk_retake"
--- @include "hold_tell"
--- @keys "desk_keys"
local orders_key = KEYS[19]  -- hash  order -> unfinished checkout
local buyers_key = KEYS[20]  -- hyperloglog  distinct viewers who ordered
local order = ARGV[1]  -- string  the authorized order

local raw = redis.call('HGET', orders_key, order)
if not raw then
  return answer('gone')
end
local record = cmsgpack.unpack(raw)
if record.step == 'finalized' or record.step == 'committed' then
  return answer('finalized')
end
if record.step ~= 'authorized' then
  return answer('elsewhere', { step = record.step })
end
local desk = desk_open(desk_keys)
if desk.status == 'frozen' then
  return answer('frozen')
end
local units = 0
for i, line in ipairs(record.lines) do
  local own = line.reservation:sub(#desk.prefix + 1)
  local hold = desk_hold(desk, own)
  local kept = hold and hold.state == 2 and hold.order == order
  if not kept and not desk_retake(desk, own, hold, order, record.addresses[i]) then
    return answer('lost', { reservation = line.reservation })
  end
  local drop = desk_numbered(desk, hold.number)
  drop.stock.held = drop.stock.held - hold.quantity
  drop.stock.sold = drop.stock.sold + hold.quantity
  drop.changed = true
  units = units + hold.quantity
  hold.state, hold.deadline = 3, nil
  desk.fresh[#desk.fresh + 1] = own
  hold_tell(desk, own, hold, drop)
end
desk_close(desk)
record.step = 'finalized'
redis.call('HSET', orders_key, order, cmsgpack.pack(record))
redis.call('HINCRBY', figures_key, 'orders', 1)
redis.call('HINCRBY', figures_key, 'units_sold', units)
redis.call('HINCRBY', figures_key, 'gmv', record.total)
redis.call('PFADD', buyers_key, record.viewer)
return answer('finalized', { owed = desk.owed })
