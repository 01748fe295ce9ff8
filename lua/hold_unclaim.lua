-- purpose: undo an order's claim: its reservations are held again until their old deadline, or lapse if that is over
-- returns: outcome unclaimed, also where the order is already gone | elsewhere where it can no longer be undone
-- events: each reservation to its viewer's sockets; the live stock where units came back
--- @include "answer"
--- @include "drop_read"
--- @include "hold_let_go"
--- @include "hold_read"
--- @include "hold_tell"
--- @include "hold_write"
--- @include "now_ms"
--- @include "stock_publish"
--- @include "stock_read"
--- @include "stock_write"
local drops_key = KEYS[1]  -- hash  drop -> terms
local stock_key = KEYS[2]  -- hash  drop -> numbers
local holds_key = KEYS[3]  -- hash  reservation -> hold
local taken_key = KEYS[4]  -- hash  drop and viewer -> units
local expiry_key = KEYS[5]  -- zset  reservation by the time it lapses
local orders_key = KEYS[6]  -- hash  order -> unfinished checkout
local pending_key = KEYS[7]  -- zset  order by the end of its lease
local live_key = KEYS[8]  -- channel  events and live numbers
local order = ARGV[1]  -- string  the order that will not be

local raw = redis.call('HGET', orders_key, order)
if not raw then
  return answer('unclaimed')
end
local record = cmsgpack.unpack(raw)
if record.step ~= 'claimed' and record.step ~= 'voiding' then
  return answer('elsewhere', { step = record.step })
end
local now = now_ms()
for _, line in ipairs(record.lines) do
  local hold = hold_read(holds_key, line.reservation)
  if hold.state == 'paying' and hold.order == order then
    if hold.expires_at > now then
      hold.state = 'held'
      hold.order = ''
      hold_write(holds_key, line.reservation, hold)
      redis.call('ZADD', expiry_key, hold.expires_at, line.reservation)
    else
      local stock = stock_read(stock_key, hold.drop)
      hold_let_go(holds_key, taken_key, expiry_key, line.reservation, hold, stock, 'expired')
      stock_write(stock_key, hold.drop, stock)
      stock_publish(live_key, hold.drop, stock)
    end
    hold_tell(live_key, line.reservation, hold, drop_read(drops_key, hold.drop))
  end
end
redis.call('HDEL', orders_key, order)
redis.call('ZREM', pending_key, order)
return answer('unclaimed')
