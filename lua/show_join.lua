-- purpose: show where a show stands to all who join it at once, with each viewer's own reservations beside it
-- returns: {packed answer, packed pinned products, the first viewer's packed reservations, the second's …}; outcome
--   joined, with snapshot where it was asked for; not-found
-- events: none
--- @include "answer"
--- @include "drop_view"
--- @include "mine_view"
--- @include "now_ms"
--- @include "show_view"
--- @include "stock_read"
--- @include "stock_view"
local show_key = KEYS[1]  -- hash  epoch, offset, pinned
local drops_key = KEYS[2]  -- hash  drop -> terms
local stock_key = KEYS[3]  -- hash  drop -> numbers
local holds_key = KEYS[4]  -- hash  reservation -> hold
local mine_key = KEYS[5]  -- hash  viewer -> reservations
local figures_key = KEYS[6]  -- hash  viewers
local viewers = cmsgpack.unpack(ARGV[1])  -- list  who joins, one at least
local snapshot = tonumber(ARGV[2])  -- integer  1 where any of them needs the full picture, else 0

local place = redis.call('HMGET', show_key, 'epoch', 'offset', 'pinned')
if not place[1] then
  return { answer('not-found'), '' }
end
local fields = {
  epoch = place[1],
  offset = tonumber(place[2]),
  server_time_at = now_ms(),
  stocks = {},
  viewers = tonumber(redis.call('HGET', figures_key, 'viewers') or '0'),
}
local terms, drops = {}, {}
for i, drop in ipairs(redis.call('HKEYS', drops_key)) do
  local stock = stock_read(stock_key, drop)
  fields.stocks[i] = stock_view(drop, stock)
  if snapshot == 1 then
    terms[drop] = drop_read(drops_key, drop)
    drops[i] = drop_view(terms[drop], stock)
  end
end
if snapshot == 1 then
  fields.snapshot = { show = show_view(show_key), drops = drops, viewers = fields.viewers }
end
return {
  answer('joined', fields),
  place[3] or '',
  unpack(mine_view(mine_key, holds_key, drops_key, viewers, terms)),
}
