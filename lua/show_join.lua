-- purpose: tell a joining or returning viewer where the log stands, with all that they missed or a full snapshot
-- returns: {packed answer, packed pinned products, missed events as packed in the log …}; outcome recovered | snapshot | not-found
-- events: none
--- @include "answer"
--- @include "drop_view"
--- @include "mine_view"
--- @include "now_ms"
--- @include "show_view"
--- @include "stock_read"
--- @include "stock_view"
local show_key = KEYS[1]  -- hash  epoch, offset
local drops_key = KEYS[2]  -- hash  drop -> terms
local stock_key = KEYS[3]  -- hash  drop -> numbers
local holds_key = KEYS[4]  -- hash  reservation -> hold
local mine_key = KEYS[5]  -- hash  viewer -> reservations
local present_key = KEYS[6]  -- zset  viewers here now
local log_key = KEYS[7]  -- stream  the show's events
local viewer = ARGV[1]  -- string  who joins
local epoch = ARGV[2]  -- string  the epoch they know, empty: none
local since = tonumber(ARGV[3])  -- integer  the last offset they saw

local place = redis.call('HMGET', show_key, 'epoch', 'offset')
if not place[1] then
  return { answer('not-found') }
end
local top = tonumber(place[2])
local fields = {
  epoch = place[1],
  offset = top,
  server_time_at = now_ms(),
  reservations = mine_view(mine_key, holds_key, drops_key, viewer),
}
local missed = {}
local reachable = epoch == place[1] and since <= top
if reachable and since < top then
  missed = redis.call('XRANGE', log_key, string.format('(%.0f-0', since), '+')
  -- The log reaches back only if nothing between the viewer's place and its first entry was trimmed.
  reachable = #missed == top - since
end
local drops = {}
local flat = redis.call('HGETALL', drops_key)
if reachable then
  fields.stocks = {}
  for i = 1, #flat, 2 do
    fields.stocks[#fields.stocks + 1] = stock_view(flat[i], stock_read(stock_key, flat[i]))
  end
  local reply = { answer('recovered', fields), '' }
  for i, entry in ipairs(missed) do
    reply[i + 2] = entry[2][2]
  end
  return reply
end

for i = 1, #flat, 2 do
  drops[#drops + 1] = drop_view(cmsgpack.unpack(flat[i + 1]), stock_read(stock_key, flat[i]))
end
fields.snapshot = {
  show = show_view(show_key),
  drops = drops,
  reservations = fields.reservations,
  waitlist = {},
  viewers = redis.call('ZCARD', present_key),
}
return { answer('snapshot', fields), redis.call('HGET', show_key, 'pinned') or '' }
