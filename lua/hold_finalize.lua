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
local show_key = KEYS[1]  -- hash  status, offset
local drops_key = KEYS[2]  -- hash  drop -> terms
local numbers_key = KEYS[3]  -- hash  number -> drop
local stock_key = KEYS[4]  -- hash  drop -> numbers
local holds_key = KEYS[5]  -- hash  reservation -> hold
local mine_key = KEYS[6]  -- hash  viewer -> reservations
local expiry_key = KEYS[7]  -- zset  reservations by the time they lapse
local due_key = KEYS[8]  -- zset  planned moves by time
local waitlist_key = KEYS[9]  -- zset  places in all queues
local waiting_key = KEYS[10]  -- hash  place -> who wants what
local viewers_key = KEYS[11]  -- hash  viewer here now
local addresses_key = KEYS[12]  -- hash  drop and address -> units
local awards_key = KEYS[13]  -- stream  the award log
local figures_key = KEYS[14]  -- hash  unmet_demand
local log_key = KEYS[15]  -- stream  the show's events
local live_key = KEYS[16]  -- channel  events and live numbers
local orders_key = KEYS[17]  -- hash  order -> unfinished checkout
local buyers_key = KEYS[18]  -- hyperloglog  distinct viewers who ordered
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
local desk = desk_open({
  show = show_key, drops = drops_key, numbers = numbers_key, stock = stock_key, holds = holds_key, mine = mine_key,
  expiry = expiry_key, due = due_key, waitlist = waitlist_key, waiting = waiting_key, viewers = viewers_key,
  addresses = addresses_key, awards = awards_key, figures = figures_key, log = log_key, live = live_key,
})
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
