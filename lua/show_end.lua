-- purpose: end a show: its drops are closed; what is held can still be paid until it lapses
-- returns: outcome moved with the show; not-found; wrong-state where it has ended
-- events: drop.closed for each drop that was not closed, then show.ended
--- @include "answer"
--- @include "drop_end"
--- @include "log_append"
--- @include "now_ms"
--- @include "show_view"
--- @include "stock_read"
local show_key = KEYS[1]  -- hash  status, offset
local drops_key = KEYS[2]  -- hash  drop -> terms
local stock_key = KEYS[3]  -- hash  drop -> numbers
local due_key = KEYS[4]  -- zset  scheduled moves by time
local log_key = KEYS[5]  -- stream  the show's events
local live_key = KEYS[6]  -- channel  events and live numbers

local state = redis.call('HGET', show_key, 'status')
if not state then
  return answer('not-found')
end
if state == 'ended' then
  return answer('wrong-state', { state = state })
end
local now = now_ms()
local keys = {
  show = show_key, drops = drops_key, stock = stock_key, due = due_key, log = log_key, live = live_key,
}
local flat = redis.call('HGETALL', drops_key)
for i = 1, #flat, 2 do
  local terms = cmsgpack.unpack(flat[i + 1])
  if terms.status ~= 'closed' then
    drop_end(keys, flat[i], terms, stock_read(stock_key, flat[i]), now)
  end
end
redis.call('HSET', show_key, 'status', 'ended', 'ended_at', string.format('%.0f', now))
log_append(show_key, log_key, live_key, now, { type = 'show.ended' })
return answer('moved', { show = show_view(show_key) })
