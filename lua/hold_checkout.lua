-- purpose: claim a viewer's held reservations for one order, all or nothing, and record the order's first step
-- returns: outcome claimed | resumed with the order; done where it is sold, undone where not;
--   frozen while the stock is rebuilt; or a refusal with its numbers
-- events: each reservation (now paying) to its viewer's sockets
--- @include "answer"
--- @include "desk_close"
--- @include "desk_hold"
--- @include "desk_lapse"
--- @include "desk_numbered"
--- @include "desk_open"
--- @include "hold_tell"
--- @keys "desk_keys"
local orders_key = KEYS[19]  -- hash  order -> unfinished checkout
local pending_key = KEYS[20]  -- zset  order by the end of its lease
local order = ARGV[1]  -- string  the id derived from viewer and Idempotency-Key
local viewer = ARGV[2]  -- string  who pays
local reservations = cmsgpack.unpack(ARGV[3])  -- list  what is paid, none twice
local details = cmsgpack.unpack(ARGV[4])  -- map  payment and address, kept with the order until it is in the ledger
local expected_total = tonumber(ARGV[5])  -- integer  what the viewer was shown in minor units, -1: not said
local provider_ms = tonumber(ARGV[6])  -- integer  how long the provider may take before the units can lapse
local lease_ms = tonumber(ARGV[7])  -- integer  how long no other worker resumes the order

local desk = desk_open(desk_keys)
local raw = redis.call('HGET', orders_key, order)
local known = raw and cmsgpack.unpack(raw)
if known and known.step == 'undone' then
  return answer('undone', { reason = known.reason })
elseif known then
  local lease = tonumber(redis.call('ZSCORE', pending_key, order) or '0')
  return answer('resumed', { order = known, leased = lease > desk.now, now = desk.now })
end
if desk.status == 'frozen' then
  return answer('frozen')
end

local lines, addresses, total, sold, named = {}, {}, 0, {}, {}
for i, reservation in ipairs(reservations) do
  local own = reservation:sub(#desk.prefix + 1)
  local hold = reservation == desk.prefix .. own and desk_hold(desk, own)
  if not hold then
    return answer('not-found', { reservation = reservation })
  elseif named[own] then
    return answer('repeated', { reservation = reservation })
  elseif hold.viewer ~= viewer then
    return answer('not-allowed', { reservation = reservation })
  elseif (hold.state == 3 or hold.state == 4) and hold.order == order then
    sold[#sold + 1] = reservation
  elseif hold.state == 3 then
    return answer('wrong-state', { reservation = reservation, state = 'sold' })
  elseif hold.state == 2 then
    local other = redis.call('HGET', orders_key, hold.order)
    local acting = other and cmsgpack.unpack(other).step == 'acting' or false
    return answer('in-progress', { reservation = reservation, order = hold.order, acting = acting })
  elseif hold.state ~= 1 or hold.expires_at <= desk.now then
    return answer('reservation-expired', { reservation = reservation, expires_at = hold.expires_at })
  end
  named[own] = true
  local drop = desk_numbered(desk, hold.number)
  lines[i] = {
    sku = drop.terms.sku, title = drop.terms.title, drop = drop.id, reservation = reservation,
    quantity = hold.quantity, unit_price = hold.unit_price,
  }
  addresses[i] = hold.address or false
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

local deadline = desk.now + provider_ms
for _, reservation in ipairs(reservations) do
  local own = reservation:sub(#desk.prefix + 1)
  local hold = desk_hold(desk, own)
  hold.state, hold.order, hold.deadline = 2, order, math.max(hold.expires_at, deadline)
  desk.fresh[#desk.fresh + 1] = own
  desk_lapse(desk, hold.deadline, own)
  hold_tell(desk, own, hold, desk_numbered(desk, hold.number))
end
local claimed = {
  id = order, viewer = viewer, step = 'claimed', lines = lines, total = total,
  currency = redis.call('HGET', show_key, 'currency'), reference = '', reason = '', details = details,
  addresses = addresses, created_at = desk.now, deadline_at = deadline,
}
desk_close(desk)
redis.call('HSET', orders_key, order, cmsgpack.pack(claimed))
redis.call('ZADD', pending_key, desk.now + lease_ms, order)
return answer('claimed', { order = claimed, now = desk.now })
