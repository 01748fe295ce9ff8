#!lua flags=allow-oom
-- purpose: record that an order's buyer has to act at their provider first, and keep its units until they had the time
-- returns: outcome waits with the record, also on a repeat | lost where units are gone | elsewhere with the step | gone |
--   frozen while the stock is rebuilt
-- events: none
--- @include "answer"
--- @include "desk_close"
--- @include "desk_hold"
--- @include "desk_lapse"
--- @include "desk_open"
--- @keys "desk_keys"
local orders_key = KEYS[19]  -- hash  order -> unfinished checkout
local pending_key = KEYS[20]  -- zset  order by the end of its lease
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
local desk = desk_open(desk_keys)
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
