-- purpose: sell the units of an authorized order, all or nothing
-- returns: outcome finalized (also on a repeat) | lost where a reservation is no longer this order's | gone
-- events: the live stock, once per drop; each reservation (now sold) to its viewer's sockets
--- @include "answer"
--- @include "drop_read"
--- @include "hold_read"
--- @include "hold_tell"
--- @include "hold_write"
--- @include "stock_publish"
--- @include "stock_read"
--- @include "stock_write"
local drops_key = KEYS[1]  -- hash  drop -> terms
local stock_key = KEYS[2]  -- hash  drop -> numbers
local holds_key = KEYS[3]  -- hash  reservation -> hold
local expiry_key = KEYS[4]  -- zset  reservation by the time it lapses
local orders_key = KEYS[5]  -- hash  order -> unfinished checkout
local figures_key = KEYS[6]  -- hash  orders, units_sold, gmv
local buyers_key = KEYS[7]  -- hyperloglog  distinct viewers who ordered
local live_key = KEYS[8]  -- channel  events and live numbers
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
  return answer('lost', { step = record.step })
end
local holds = {}
for i, line in ipairs(record.lines) do
  local hold = hold_read(holds_key, line.reservation)
  if not hold or hold.state ~= 'paying' or hold.order ~= order then
    return answer('lost', { reservation = line.reservation })
  end
  holds[i] = hold
end

local touched, stocks, units = {}, {}, 0
for i, line in ipairs(record.lines) do
  local hold, drop = holds[i], line.drop
  if not stocks[drop] then
    touched[#touched + 1] = drop
    stocks[drop] = stock_read(stock_key, drop)
  end
  stocks[drop].held = stocks[drop].held - hold.quantity
  stocks[drop].sold = stocks[drop].sold + hold.quantity
  units = units + hold.quantity
  hold.state = 'sold'
  hold_write(holds_key, line.reservation, hold)
  redis.call('ZREM', expiry_key, line.reservation)
  hold_tell(live_key, line.reservation, hold, drop_read(drops_key, drop))
end
for _, drop in ipairs(touched) do
  stock_write(stock_key, drop, stocks[drop])
  stock_publish(live_key, drop, stocks[drop])
end
record.step = 'finalized'
redis.call('HSET', orders_key, order, cmsgpack.pack(record))
redis.call('HINCRBY', figures_key, 'orders', 1)
redis.call('HINCRBY', figures_key, 'units_sold', units)
redis.call('HINCRBY', figures_key, 'gmv', record.total)
redis.call('PFADD', buyers_key, record.viewer)
return answer('finalized')
