-- purpose: show where a show stands to all who join it at once, with what each viewer has in it beside it
-- returns: {packed answer, packed pinned products, and for each viewer packed reservations and packed places in queues};
--   outcome joined, with snapshot where it was asked for; not-found
-- events: none
--- @include "answer"
--- @include "desk_drop"
--- @include "desk_open"
--- @include "drop_view"
--- @include "mine_view"
--- @include "show_view"
--- @include "stock_view"
local show_key = KEYS[1]  -- hash  epoch, offset, pinned
local drops_key = KEYS[2]  -- hash  drop -> terms
local numbers_key = KEYS[3]  -- hash  number -> drop
local stock_key = KEYS[4]  -- hash  drop -> numbers
local holds_key = KEYS[5]  -- hash  reservation -> hold
local mine_key = KEYS[6]  -- hash  viewer -> reservations
local waitlist_key = KEYS[7]  -- zset  places in all queues
local waiting_key = KEYS[8]  -- hash  place -> who wants what
local figures_key = KEYS[9]  -- hash  viewers
local viewers = cmsgpack.unpack(ARGV[1])  -- list  who joins, one at least
local snapshot = tonumber(ARGV[2])  -- integer  1 where any of them needs the full picture, else 0

local place = redis.call('HMGET', show_key, 'epoch', 'offset', 'pinned')
if not place[1] then
  return { answer('not-found'), '' }
end
local desk = desk_open({
  show = show_key, drops = drops_key, numbers = numbers_key, stock = stock_key, holds = holds_key, mine = mine_key,
  waitlist = waitlist_key, waiting = waiting_key,
})
local fields = {
  epoch = place[1],
  offset = tonumber(place[2]),
  server_time_at = desk.now,
  stocks = {},
  viewers = tonumber(redis.call('HGET', figures_key, 'viewers') or '0'),
}
local drops = {}
for i, name in ipairs(redis.call('HKEYS', drops_key)) do
  local drop = desk_drop(desk, name)
  fields.stocks[i] = stock_view(name, drop.stock)
  drops[i] = snapshot == 1 and drop_view(drop.terms, drop.stock) or nil
end
if snapshot == 1 then
  fields.snapshot = { show = show_view(show_key), drops = drops, viewers = fields.viewers }
end
return { answer('joined', fields), place[3] or '', unpack(mine_view(desk, viewers)) }
