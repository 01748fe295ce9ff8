#!lua flags=allow-oom
-- purpose: let everything of an ended show go a while later, once nothing in it can change any more
-- returns: outcome retired | unfinished where holds or orders are open, winners to be served, what lapsed to be
--   recorded, or it is frozen | gone where the show is
-- events: none
--- @include "answer"
local show_key = KEYS[1]  -- hash  status
local expiry_key = KEYS[2]  -- zset  expires with the show
local pending_key = KEYS[3]  -- zset  unfinished orders
local drops_key = KEYS[4]  -- hash  expires with the show
local stock_key = KEYS[5]  -- hash  drop -> numbers
local holds_key = KEYS[6]  -- hash  expires with the show
local mine_key = KEYS[7]  -- hash  expires with the show
local due_key = KEYS[8]  -- zset  expires with the show
local orders_key = KEYS[9]  -- hash  expires with the show
local figures_key = KEYS[10]  -- hash  expires with the show
local audience_key = KEYS[11]  -- hyperloglog  expires with the show
local buyers_key = KEYS[12]  -- hyperloglog  expires with the show
local present_key = KEYS[13]  -- zset  expires with the show
local log_key = KEYS[14]  -- stream  expires with the show
local reactions_key = KEYS[15]  -- hash  expires with the show
local restocks_key = KEYS[16]  -- hash  expires with the show
local gateways_key = KEYS[17]  -- hash  expires with the show
local viewers_key = KEYS[18]  -- hash  expires with the show
local numbers_key = KEYS[19]  -- hash  expires with the show
local waitlist_key = KEYS[20]  -- zset  expires with the show
local waiting_key = KEYS[21]  -- hash  expires with the show
local addresses_key = KEYS[22]  -- hash  expires with the show
local seeds_key = KEYS[23]  -- hash  expires with the show
local awards_key = KEYS[24]  -- stream  expires with the show
local left_key = KEYS[25]  -- hash  expires with the show
local lapsed_key = KEYS[26]  -- stream  what lapsed and the ledger does not have yet
local series_key = KEYS[27]  -- stream  expires with the show
local seats_key = KEYS[28]  -- zset  expires with the show
local line_key = KEYS[29]  -- zset  expires with the show
local heard_key = KEYS[30]  -- zset  expires with the show
local door_key = KEYS[31]  -- hash  expires with the show
local keep_ms = tonumber(ARGV[1])  -- integer  how long it can still be read

local state = redis.call('HGET', show_key, 'status')
if not state then
  return answer('gone')
end
local frozen = redis.call('HEXISTS', show_key, 'frozen') == 1
if state ~= 'ended' or frozen or redis.call('ZCARD', pending_key) > 0 or redis.call('XLEN', lapsed_key) > 0 then
  return answer('unfinished')
end
for _, row in ipairs(redis.call('HVALS', stock_key)) do
  local numbers = cmsgpack.unpack(row)
  if numbers[2] > 0 or numbers[13] > 0 then
    return answer('unfinished')
  end
end
for _, key in ipairs({
  show_key, expiry_key, pending_key, drops_key, stock_key, holds_key, mine_key, due_key, orders_key,
  figures_key, audience_key, buyers_key, present_key, log_key, reactions_key, restocks_key, gateways_key,
  viewers_key, numbers_key, waitlist_key, waiting_key, addresses_key, seeds_key, awards_key, left_key,
  lapsed_key, series_key, seats_key, line_key, heard_key, door_key,
}) do
  redis.call('PEXPIRE', key, keep_ms)
end
return answer('retired')
