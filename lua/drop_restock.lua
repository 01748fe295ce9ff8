-- purpose: add units to a drop that is not closed
-- returns: outcome moved with the drop; not-found; wrong-state where it is closed; limit-reached beyond the bound
-- events: drop.restocked; the live stock
--- @include "answer"
--- @include "drop_read"
--- @include "drop_view"
--- @include "log_append"
--- @include "now_ms"
--- @include "stock_publish"
--- @include "stock_read"
--- @include "stock_view"
--- @include "stock_write"
local show_key = KEYS[1]  -- hash  offset
local drops_key = KEYS[2]  -- hash  drop -> terms
local stock_key = KEYS[3]  -- hash  drop -> numbers
local restocks_key = KEYS[4]  -- hash  drop and operation -> units added
local log_key = KEYS[5]  -- stream  the show's events
local live_key = KEYS[6]  -- channel  events and live numbers
local drop = ARGV[1]  -- string  which drop
local quantity = tonumber(ARGV[2])  -- integer  units to add, at least 1
local most = tonumber(ARGV[3])  -- integer  units a drop may have
local operation = ARGV[4]  -- string  the caller's own id of this restock, empty: none

-- A caller's ids are unique per drop only: the same one on another drop is another restock.
local applied = drop .. ' ' .. operation
local terms = drop_read(drops_key, drop)
if not terms then
  return answer('not-found')
end
if operation ~= '' and redis.call('HEXISTS', restocks_key, applied) == 1 then
  return answer('moved', { drop = drop_view(terms, stock_read(stock_key, drop)) })
end
if terms.status == 'closed' then
  return answer('wrong-state', { state = terms.status })
end
local stock = stock_read(stock_key, drop)
if stock.quantity + quantity > most then
  return answer('limit-reached', { limit = most, quantity = stock.quantity })
end
if operation ~= '' then
  redis.call('HSET', restocks_key, applied, quantity)
end
stock.available = stock.available + quantity
stock.quantity = stock.quantity + quantity
stock.sold_out_at = 0
stock_write(stock_key, drop, stock)
log_append(show_key, log_key, live_key, now_ms(), {
  type = 'drop.restocked', drop_id = drop, stock = stock_view(drop, stock),
})
stock_publish(live_key, drop, stock)
return answer('moved', { drop = drop_view(terms, stock) })
