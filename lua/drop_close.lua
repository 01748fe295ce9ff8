-- purpose: close a drop for good, by the host, or by the clock when its time has come; a draw is drawn
-- returns: outcome moved with the drop; not-found; wrong-state where it is closed, or the show is
--   frozen; early where the clock came too soon
-- events: drop.drawn with the seed, in a draw; drop.closed; the live stock; winners to their viewers
--- @include "answer"
--- @include "desk_close"
--- @include "desk_drop"
--- @include "desk_open"
--- @include "drop_end"
--- @include "drop_view"
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
local drop = ARGV[1]  -- string  which drop
local by = ARGV[2]  -- string  host | clock
local skip = tonumber(ARGV[3])  -- integer  1 where the queue passes over who is not here, else 0

local desk = desk_open({
  show = show_key, drops = drops_key, numbers = numbers_key, stock = stock_key, holds = holds_key, mine = mine_key,
  expiry = expiry_key, due = due_key, waitlist = waitlist_key, waiting = waiting_key, viewers = viewers_key,
  addresses = addresses_key, seeds = seeds_key, awards = awards_key, figures = figures_key, log = log_key,
  live = live_key,
}, skip == 1)
local known = desk_drop(desk, drop)
if not known then
  return answer('not-found')
end
if known.terms.status == 'closed' then
  redis.call('ZREM', due_key, 'close ' .. drop)
  return answer('wrong-state', { state = known.terms.status })
end
if by == 'clock' and (desk.status == 'frozen' or not known.terms.closes_at or known.terms.closes_at > desk.now) then
  return answer('early')
end
if desk.status == 'frozen' then
  return answer('wrong-state', { state = desk.status })
end
drop_end(desk, known)
desk_close(desk)
return answer('moved', { drop = drop_view(known.terms, known.stock), owed = desk.owed })
