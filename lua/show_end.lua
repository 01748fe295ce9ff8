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
local show_key = KEYS[1]  -- hash  status, offset
local drops_key = KEYS[2]  -- hash  drop -> terms
local numbers_key = KEYS[3]  -- hash  number -> drop
local stock_key = KEYS[4]  -- hash  drop -> numbers
local holds_key = KEYS[5]  -- hash  reservation -> hold
local mine_key = KEYS[6]  -- hash  viewer -> reservations
local expiry_key = KEYS[7]  -- zset  reservations by the time they lapse
local due_key = KEYS[8]  -- zset  planned moves by time
local waitlist_key = KEYS[9]  -- zset  places in all queues
local waiting_key = KEYS[10]  -- hash  place -> who wants what
local viewers_key = KEYS[11]  -- hash  viewer here now
local addresses_key = KEYS[12]  -- hash  drop and address -> units
local awards_key = KEYS[13]  -- stream  the award log
local figures_key = KEYS[14]  -- hash  unmet_demand
local log_key = KEYS[15]  -- stream  the show's events
local live_key = KEYS[16]  -- channel  events and live numbers
local seeds_key = KEYS[17]  -- hash  drop -> its secret seed
local skip = tonumber(ARGV[1])  -- integer  1 where the queue passes over who is not here, else 0

local state = redis.call('HGET', show_key, 'status')
if not state then
  return answer('not-found')
end
if state == 'ended' then
  return answer('wrong-state', { state = state })
end
local desk = desk_open({
  show = show_key, drops = drops_key, numbers = numbers_key, stock = stock_key, holds = holds_key, mine = mine_key,
  expiry = expiry_key, due = due_key, waitlist = waitlist_key, waiting = waiting_key, viewers = viewers_key,
  addresses = addresses_key, seeds = seeds_key, awards = awards_key, figures = figures_key, log = log_key,
  live = live_key,
}, skip == 1)
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
