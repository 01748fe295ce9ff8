#!lua flags=allow-oom
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
--- @keys "desk_keys"
local lapsed_key = KEYS[19]  -- stream  what lapsed and the ledger does not have yet
local limit = tonumber(ARGV[1])  -- integer  about how many to look at in one step
local skip = tonumber(ARGV[2])  -- integer  1 where the queue passes over who is not here, else 0

local desk = desk_open(desk_keys, skip == 1)
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
