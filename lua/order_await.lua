-- purpose: record that an order's buyer has to act at their provider first, and keep its units until they had the time
-- returns: outcome waits with the record, also on a repeat | lost where units are gone | elsewhere with the step | gone |
--   frozen while the stock is rebuilt
-- events: none
--- @include "answer"
--- @include "desk_close"
--- @include "desk_hold"
--- @include "desk_lapse"
--- @include "desk_open"
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
local pending_key = KEYS[18]  -- zset  order by the end of its lease
local order = ARGV[1]  -- string  whose buyer has to act
local reference = ARGV[2]  -- string  the provider's name for the payment
local url = ARGV[3]  -- string  where the buyer has to act
local action_ms = tonumber(ARGV[4])  -- integer  how long they have for it
local provider_ms = tonumber(ARGV[5])  -- integer  how much longer the units stay: until the payment is let go as well
local lease_ms = tonumber(ARGV[6])  -- integer  until a worker looks whether they did

local raw = redis.call('HGET', orders_key, order)
if not raw then
  return answer('gone')
end
local record = cmsgpack.unpack(raw)
if record.step == 'acting' then
  return answer('waits', { order = record })
elseif record.step ~= 'claimed' then
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
local until_at = desk.now + action_ms
local lapses_at = until_at + provider_ms
for _, line in ipairs(record.lines) do
  local own = line.reservation:sub(#desk.prefix + 1)
  local hold = desk_hold(desk, own)
  if not hold or hold.state ~= 2 or hold.order ~= order then
    return answer('lost', { reservation = line.reservation })
  end
  if hold.deadline < lapses_at then
    hold.deadline = lapses_at
    desk.fresh[#desk.fresh + 1] = own
    desk_lapse(desk, lapses_at, own)
  end
end
record.step, record.reference, record.action_url = 'acting', reference, url
record.deadline_at, record.looked_at = until_at, 0
desk_close(desk)
redis.call('HSET', orders_key, order, cmsgpack.pack(record))
redis.call('ZADD', pending_key, math.min(desk.now + lease_ms, until_at), order)
return answer('waits', { order = record })
