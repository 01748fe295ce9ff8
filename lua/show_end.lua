#!lua flags=allow-oom
-- purpose: end a show: its drops are closed; what is held can still be paid until it lapses
-- returns: outcome moved with the show; not-found; wrong-state where it has ended, or is frozen
-- events: drop.closed for each drop that was not closed, then show.ended; winners of draws to their viewers
--- @include "answer"
--- @include "desk_close"
--- @include "desk_drop"
--- @include "desk_open"
--- @include "drop_end"
--- @include "log_append"
--- @include "show_view"
--- @keys "desk_keys"
local skip = tonumber(ARGV[1])  -- integer  1 where the queue passes over who is not here, else 0

local state = redis.call('HGET', show_key, 'status')
if not state then
  return answer('not-found')
end
if state == 'ended' then
  return answer('wrong-state', { state = state })
end
local desk = desk_open(desk_keys, skip == 1)
if desk.status == 'frozen' then
  return answer('wrong-state', { state = desk.status })
end
-- All draws together serve as many in this step as one may: where those ahead may need them all, a worker serves.
local served = 0
for _, name in ipairs(redis.call('HKEYS', drops_key)) do
  local drop = desk_drop(desk, name)
  if drop.terms.status ~= 'closed' then
    drop_end(desk, drop)
    drop.served = math.min(served, 256)
    served = served + (drop.stock.backlog > 0 and drop.stock.waiting or 0)
  end
end
desk_close(desk)
redis.call('HSET', show_key, 'status', 'ended', 'ended_at', string.format('%.0f', desk.now))
log_append(show_key, log_key, live_key, desk.now, { type = 'show.ended' })
return answer('moved', { show = show_view(show_key), owed = desk.owed })
