--- @include "hold_write"
-- Give a hold's units back: from held (or paying) to available, off the viewer's count and off the expiry index.
-- The caller stores `stock` once for all the holds of a drop.
local function hold_let_go(holds_key, taken_key, expiry_key, reservation, hold, stock, state)
  stock.available = stock.available + hold.quantity
  stock.held = stock.held - hold.quantity
  local counted = hold.drop .. ' ' .. hold.viewer
  if redis.call('HINCRBY', taken_key, counted, -hold.quantity) <= 0 then
    redis.call('HDEL', taken_key, counted)
  end
  redis.call('ZREM', expiry_key, reservation)
  hold.state = state
  hold.order = ''
  hold_write(holds_key, reservation, hold)
end
