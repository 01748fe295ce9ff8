-- purpose: give back the units of reservations whose time is over
-- returns: outcome swept with how many lapsed, the lag of the oldest in ms, and when the next one is due (0: none)
-- events: the live stock, once per drop; each reservation to its viewer's sockets
--- @include "answer"
--- @include "drop_read"
--- @include "hold_let_go"
--- @include "hold_read"
--- @include "hold_tell"
--- @include "now_ms"
--- @include "stock_publish"
--- @include "stock_read"
--- @include "stock_write"
local drops_key = KEYS[1]  -- hash  drop -> terms
local stock_key = KEYS[2]  -- hash  drop -> numbers
local holds_key = KEYS[3]  -- hash  reservation -> hold
local taken_key = KEYS[4]  -- hash  drop and viewer -> units
local expiry_key = KEYS[5]  -- zset  reservation by the time it lapses
local figures_key = KEYS[6]  -- hash  unmet_demand
local live_key = KEYS[7]  -- channel  events and live numbers
local limit = tonumber(ARGV[1])  -- integer  the most to take in one step

local now = now_ms()
local lapsed = redis.call('ZRANGEBYSCORE', expiry_key, '-inf', now, 'WITHSCORES', 'LIMIT', 0, limit)
local touched, stocks, all_terms, units = {}, {}, {}, 0
for i = 1, #lapsed, 2 do
  local reservation = lapsed[i]
  local hold = hold_read(holds_key, reservation)
  if hold and (hold.state == 'held' or hold.state == 'paying') then
    local drop = hold.drop
    if not stocks[drop] then
      touched[#touched + 1] = drop
      stocks[drop] = stock_read(stock_key, drop)
      all_terms[drop] = drop_read(drops_key, drop)
    end
    hold_let_go(holds_key, taken_key, expiry_key, reservation, hold, stocks[drop], 'expired')
    hold_tell(live_key, reservation, hold, all_terms[drop])
    units = units + hold.quantity
  else
    -- A deadline that is nobody's must not keep the whole show's units from coming back.
    redis.call('ZREM', expiry_key, reservation)
  end
end
for _, drop in ipairs(touched) do
  stock_write(stock_key, drop, stocks[drop])
  stock_publish(live_key, drop, stocks[drop])
end
if units > 0 then
  redis.call('HINCRBY', figures_key, 'unmet_demand', units)
end
local next_due = redis.call('ZRANGE', expiry_key, 0, 0, 'WITHSCORES')
return answer('swept', {
  lapsed = #lapsed / 2,
  lag_ms = lapsed[2] and now - tonumber(lapsed[2]) or 0,
  next_at = tonumber(next_due[2] or '0'),
})
