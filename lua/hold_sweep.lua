-- purpose: give back the units of reservations whose time is over; who waits for them gets them in the same step
-- returns: outcome swept with how many lapsed (none while the show is frozen), the lag of the oldest in ms, and when
--   the next one is due (0: none)
-- events: the live stock; each reservation, and each promotion, to its viewer's sockets
--- @include "answer"
--- @include "desk_close"
--- @include "desk_hold"
--- @include "desk_let_go"
--- @include "desk_open"
--- @include "hold_tell"
--- @include "lapse_log"
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
local lapsed_key = KEYS[17]  -- stream  what lapsed and the ledger does not have yet
local limit = tonumber(ARGV[1])  -- integer  about how many to look at in one step
local skip = tonumber(ARGV[2])  -- integer  1 where the queue passes over who is not here, else 0

local desk = desk_open({
  show = show_key, drops = drops_key, numbers = numbers_key, stock = stock_key, holds = holds_key, mine = mine_key,
  expiry = expiry_key, due = due_key, waitlist = waitlist_key, waiting = waiting_key, viewers = viewers_key,
  addresses = addresses_key, awards = awards_key, figures = figures_key, log = log_key, live = live_key,
}, skip == 1)
if desk.status == 'frozen' then
  return answer('swept', { lapsed = 0, more = 0, lag_ms = 0, next_at = 0 })
end
local looked, lapsed, oldest, entries = 0, {}, desk.now, {}
local due = redis.call('ZRANGEBYSCORE', expiry_key, '-inf', desk.now, 'WITHSCORES', 'LIMIT', 0, limit)
for i = 1, #due, 2 do
  if looked >= limit then
    break
  end
  entries[#entries + 1] = due[i]
  for own in due[i]:gmatch('%S+') do
    local hold = desk_hold(desk, own)
    looked = looked + 1
    -- One that was paid, given back or is being paid meanwhile left its entry behind: it means nothing.
    local ends = hold and (hold.state == 1 and hold.expires_at or hold.state == 2 and hold.deadline)
    if ends and ends <= desk.now then
      hold_tell(desk, own, hold, desk_let_go(desk, own, hold, 5))
      desk.unmet = desk.unmet + hold.quantity
      lapsed[#lapsed + 1] = own
      oldest = math.min(oldest, ends)
    end
  end
end
desk_close(desk)
lapse_log(lapsed_key, desk, lapsed)
for first = 1, #entries, 1000 do
  redis.call('ZREM', expiry_key, unpack(entries, first, math.min(first + 999, #entries)))
end
local next_due = redis.call('ZRANGE', expiry_key, 0, 0, 'WITHSCORES')
return answer('swept', {
  lapsed = #lapsed,
  more = looked >= limit and 1 or 0,
  lag_ms = desk.now - oldest,
  next_at = tonumber(next_due[2] or '0'),
  owed = desk.owed,
})
