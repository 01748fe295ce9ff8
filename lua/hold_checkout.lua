-- purpose: claim a viewer's held reservations for one order, all or nothing, and record the order's first step
-- returns: outcome claimed | resumed with the order; done where it is already sold; or a refusal with its numbers
-- events: each reservation (now paying) to its viewer's sockets
--- @include "answer"
--- @include "drop_read"
--- @include "hold_read"
--- @include "hold_tell"
--- @include "hold_write"
--- @include "now_ms"
local show_key = KEYS[1]  -- hash  currency
local drops_key = KEYS[2]  -- hash  drop -> terms
local holds_key = KEYS[3]  -- hash  reservation -> hold
local expiry_key = KEYS[4]  -- zset  reservation by the time it lapses
local orders_key = KEYS[5]  -- hash  order -> unfinished checkout
local pending_key = KEYS[6]  -- zset  order by the end of its lease
local live_key = KEYS[7]  -- channel  events and live numbers
local order = ARGV[1]  -- string  the id derived from viewer and Idempotency-Key
local viewer = ARGV[2]  -- string  who pays
local reservations = cmsgpack.unpack(ARGV[3])  -- list  what is paid, no id twice
local details = cmsgpack.unpack(ARGV[4])  -- map  payment and address, kept with the order until it is in the ledger
local expected_total = tonumber(ARGV[5])  -- integer  what the viewer was shown in minor units, -1: not said
local provider_ms = tonumber(ARGV[6])  -- integer  how long the provider may take before the units can lapse
local lease_ms = tonumber(ARGV[7])  -- integer  how long no other worker resumes the order

local record = redis.call('HGET', orders_key, order)
if record then
  local known = cmsgpack.unpack(record)
  local lease = tonumber(redis.call('ZSCORE', pending_key, order) or '0')
  return answer('resumed', { order = known, leased = lease > now_ms() })
end

local now = now_ms()
local lines, held, total, sold = {}, {}, 0, {}
for i, reservation in ipairs(reservations) do
  local hold = hold_read(holds_key, reservation)
  if not hold then
    return answer('not-found', { reservation = reservation })
  end
  if hold.viewer ~= viewer then
    return answer('not-allowed', { reservation = reservation })
  end
  if hold.state == 'sold' and hold.order == order then
    sold[#sold + 1] = reservation
  elseif hold.state == 'sold' then
    return answer('wrong-state', { reservation = reservation, state = 'sold' })
  elseif hold.state == 'paying' then
    return answer('in-progress', { reservation = reservation })
  elseif hold.state ~= 'held' or hold.expires_at <= now then
    return answer('reservation-expired', { reservation = reservation, expires_at = hold.expires_at })
  end
  local terms = drop_read(drops_key, hold.drop)
  held[i] = { hold = hold, terms = terms }
  lines[i] = {
    sku = terms.sku, title = terms.title, drop = hold.drop, reservation = reservation,
    quantity = hold.quantity, unit_price = hold.unit_price,
  }
  total = total + hold.quantity * hold.unit_price
end
if #sold == #reservations then
  return answer('done')
end
if #sold > 0 then
  return answer('wrong-state', { reservation = sold[1], state = 'sold' })
end
if expected_total >= 0 and expected_total ~= total then
  return answer('total-changed', { current_total = total })
end

local deadline = now + provider_ms
for i, reservation in ipairs(reservations) do
  local hold = held[i].hold
  hold.state = 'paying'
  hold.order = order
  hold_write(holds_key, reservation, hold)
  redis.call('ZADD', expiry_key, math.max(hold.expires_at, deadline), reservation)
  hold_tell(live_key, reservation, hold, held[i].terms)
end
local claimed = {
  id = order, viewer = viewer, step = 'claimed', lines = lines, total = total,
  currency = redis.call('HGET', show_key, 'currency'), reference = '', details = details,
  created_at = now, deadline_at = deadline,
}
redis.call('HSET', orders_key, order, cmsgpack.pack(claimed))
redis.call('ZADD', pending_key, now + lease_ms, order)
return answer('claimed', { order = claimed })
