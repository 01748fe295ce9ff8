-- purpose: release the next wave of a drop's units, by the host, or by the clock when its time has come
-- returns: outcome moved with the drop; not-found; wrong-state where it is not open or paused, or no wave is left;
--   early where the clock came too soon
-- events: drop.restocked with the number of the wave; the live stock; promotions to their viewers
--- @include "answer"
--- @include "desk_close"
--- @include "desk_drop"
--- @include "desk_open"
--- @include "desk_restock"
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
local drop = ARGV[1]  -- string  which drop
local by = ARGV[2]  -- string  host | clock
local operation = ARGV[3]  -- string  the caller's own id of this release, empty: none
local skip = tonumber(ARGV[4])  -- integer  1 where the queue passes over who is not here, else 0

local desk = desk_open({
  show = show_key, drops = drops_key, numbers = numbers_key, stock = stock_key, holds = holds_key, mine = mine_key,
  expiry = expiry_key, due = due_key, waitlist = waitlist_key, waiting = waiting_key, viewers = viewers_key,
  addresses = addresses_key, awards = awards_key, figures = figures_key, log = log_key, live = live_key,
}, skip == 1)
local known = desk_drop(desk, drop)
if not known then
  return answer('not-found')
end
if desk.status == 'frozen' then
  return answer('wrong-state', { state = desk.status })
end
local terms, next_wave = known.terms, nil
for i, wave in ipairs(terms.waves or {}) do
  if operation ~= '' and wave.operation == operation then
    return answer('moved', { drop = drop_view(terms, known.stock) })
  end
  if not wave.released_at and not next_wave then
    next_wave = i
  end
end
local running = terms.status == 'open' or terms.status == 'paused'
if not running or not next_wave then
  redis.call('ZREM', due_key, 'wave ' .. drop)
  return answer('wrong-state', { state = terms.status, waves = terms.waves and #terms.waves or 0 })
end
local wave, following = terms.waves[next_wave], terms.waves[next_wave + 1]
if by == 'clock' and (not wave.at or wave.at > desk.now) then
  return answer('early')
end
wave.released_at = desk.now
wave.operation = operation ~= '' and operation or nil
known.turned = true
desk_restock(desk, known, wave.quantity, next_wave)
desk_close(desk)
redis.call('ZREM', due_key, 'wave ' .. drop)
if following and following.at then
  redis.call('ZADD', due_key, following.at, 'wave ' .. drop)
end
return answer('moved', { drop = drop_view(terms, known.stock), owed = desk.owed })
