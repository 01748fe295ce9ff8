-- purpose: take units of a drop for a viewer and hold them until they lapse, or say exactly why not
-- returns: outcome held | replayed with the reservation; or a refusal's code with its numbers
-- events: drop.sold_out when the last unit goes; the live stock
--- @include "answer"
--- @include "drop_read"
--- @include "hold_read"
--- @include "hold_view"
--- @include "hold_write"
--- @include "log_append"
--- @include "mine_add"
--- @include "now_ms"
--- @include "stock_publish"
--- @include "stock_read"
--- @include "stock_write"
local show_key = KEYS[1]  -- hash  status, offset
local drops_key = KEYS[2]  -- hash  drop -> terms
local stock_key = KEYS[3]  -- hash  drop -> numbers
local holds_key = KEYS[4]  -- hash  reservation -> hold
local taken_key = KEYS[5]  -- hash  drop and viewer -> units
local mine_key = KEYS[6]  -- hash  viewer -> reservations
local expiry_key = KEYS[7]  -- zset  reservation by the time it lapses
local figures_key = KEYS[8]  -- hash  unmet_demand
local log_key = KEYS[9]  -- stream  the show's events
local live_key = KEYS[10]  -- channel  events and live numbers
local reservation = ARGV[1]  -- string  the id derived from viewer and operation id
local viewer = ARGV[2]  -- string  who takes
local drop = ARGV[3]  -- string  what of
local quantity = tonumber(ARGV[4])  -- integer  how many, at least 1

-- A repeat meets the hold that its first run made: the record is the replay detection.
local terms = drop_read(drops_key, drop)
local known = hold_read(holds_key, reservation)
if known then
  if known.drop ~= drop or known.quantity ~= quantity then
    return answer('idempotency-mismatch', { drop = known.drop, quantity = known.quantity })
  end
  return answer('replayed', { reservation = hold_view(reservation, known, terms) })
end
if not terms then
  return answer('not-found')
end
local show_status = redis.call('HGET', show_key, 'status')
if terms.status == 'closed' then
  return answer('drop-closed')
end
if show_status ~= 'live' then
  return answer('show-not-live', { state = show_status })
end
if terms.status ~= 'open' then
  return answer('drop-not-open', { state = terms.status, opens_at = terms.opens_at })
end
local counted = drop .. ' ' .. viewer
local taken = tonumber(redis.call('HGET', taken_key, counted) or '0')
if taken + quantity > terms.limit_per_viewer then
  return answer('limit-reached', { limit = terms.limit_per_viewer, taken = taken })
end
local stock = stock_read(stock_key, drop)
if stock.available < quantity then
  redis.call('HINCRBY', figures_key, 'unmet_demand', quantity)
  return answer('out-of-stock', { available = stock.available, held = stock.held })
end

local now = now_ms()
local hold = {
  drop = drop, viewer = viewer, quantity = quantity, state = 'held',
  unit_price = terms.unit_price, expires_at = now + terms.hold_seconds * 1000, order = '',
}
hold_write(holds_key, reservation, hold)
mine_add(mine_key, holds_key, viewer, reservation)
redis.call('HINCRBY', taken_key, counted, quantity)
redis.call('ZADD', expiry_key, hold.expires_at, reservation)
stock.available = stock.available - quantity
stock.held = stock.held + quantity
-- Stock that flutters around zero is told by the live number; the log says it at most once a second.
local told = stock.available == 0 and now - stock.sold_out_at >= 1000
if told then
  stock.sold_out_at = now
end
stock_write(stock_key, drop, stock)
if told then
  log_append(show_key, log_key, live_key, now, { type = 'drop.sold_out', drop_id = drop })
end
stock_publish(live_key, drop, stock)
return answer('held', { reservation = hold_view(reservation, hold, terms) })
