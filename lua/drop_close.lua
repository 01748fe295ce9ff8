#!lua flags=allow-oom
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
--- @keys "desk_keys"
local drop = ARGV[1]  -- string  which drop
local by = ARGV[2]  -- string  host | clock
local skip = tonumber(ARGV[3])  -- integer  1 where the queue passes over who is not here, else 0

local desk = desk_open(desk_keys, skip == 1)
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
