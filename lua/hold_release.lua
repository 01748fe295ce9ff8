-- purpose: let a viewer give a held reservation back; repeating changes nothing more
-- returns: outcome released with the reservation as it now is; or not-found, not-allowed, in-progress, wrong-state
-- events: the live stock; the reservation to its viewer's sockets
--- @include "answer"
--- @include "drop_read"
--- @include "hold_let_go"
--- @include "hold_read"
--- @include "hold_tell"
--- @include "hold_view"
--- @include "stock_publish"
--- @include "stock_read"
--- @include "stock_write"
local drops_key = KEYS[1]  -- hash  drop -> terms
local stock_key = KEYS[2]  -- hash  drop -> numbers
local holds_key = KEYS[3]  -- hash  reservation -> hold
local taken_key = KEYS[4]  -- hash  drop and viewer -> units
local expiry_key = KEYS[5]  -- zset  reservation by the time it lapses
local live_key = KEYS[6]  -- channel  events and live numbers
local reservation = ARGV[1]  -- string  what to give back
local viewer = ARGV[2]  -- string  who asks

local hold = hold_read(holds_key, reservation)
if not hold then
  return answer('not-found')
end
if hold.viewer ~= viewer then
  return answer('not-allowed')
end
if hold.state == 'paying' then
  return answer('in-progress')
end
if hold.state == 'sold' then
  return answer('wrong-state', { state = 'sold' })
end
local terms = drop_read(drops_key, hold.drop)
if hold.state == 'held' then
  local stock = stock_read(stock_key, hold.drop)
  hold_let_go(holds_key, taken_key, expiry_key, reservation, hold, stock, 'released')
  stock_write(stock_key, hold.drop, stock)
  stock_publish(live_key, hold.drop, stock)
  hold_tell(live_key, reservation, hold, terms)
end
return answer('released', { reservation = hold_view(reservation, hold, terms) })
