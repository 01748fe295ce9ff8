-- purpose: tell the newest numbers of drops whose last change was not told at once
-- returns: outcome flushed with how many were told; later: drops whose time has not come yet, and in how many ms it does
-- events: the live stock
--- @include "answer"
--- @include "drop_read"
--- @include "now_ms"
--- @include "stock_publish"
--- @include "stock_read"
--- @include "stock_store"
local drops_key = KEYS[1]  -- hash  drop -> terms
local stock_key = KEYS[2]  -- hash  drop -> numbers
local due_key = KEYS[3]  -- zset  planned moves by time
local live_key = KEYS[4]  -- channel  events and live numbers
local drops = cmsgpack.unpack(ARGV[1])  -- list  which drops

local now, told, later, wait_ms = now_ms(), 0, {}, 100
for _, drop in ipairs(drops) do
  -- The keys of a show that is over go one after the other: terms and numbers are there together or not at all.
  local whole = redis.call('HEXISTS', stock_key, drop) == 1 and redis.call('HEXISTS', drops_key, drop) == 1
  local stock = whole and stock_read(stock_key, drop)
  if stock and stock.owed == 1 and now - stock.told_at < 100 then
    later[#later + 1] = drop
    wait_ms = math.min(wait_ms, stock.told_at + 100 - now)
  else
    redis.call('ZREM', due_key, 'flush ' .. drop)
    if stock and stock.owed == 1 then
      stock.told_at, stock.owed = now, 0
      stock.over = drop_read(drops_key, drop).status == 'closed'
      stock_store(stock_key, drop, stock)
      stock_publish(live_key, drop, stock)
      told = told + 1
    end
  end
end
return answer('flushed', { told = told, later = later, wait_ms = wait_ms })
