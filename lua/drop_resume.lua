-- purpose: let units of a paused drop be taken again; what came back meanwhile goes to who waits
-- returns: outcome moved with the drop; not-found; wrong-state unless it is paused
-- events: drop.resumed; the live stock; promotions to their viewers
--- @include "answer"
--- @include "desk_close"
--- @include "desk_drop"
--- @include "desk_open"
--- @include "drop_view"
--- @keys "desk_keys"
local drop = ARGV[1]  -- string  which drop
local skip = tonumber(ARGV[2])  -- integer  1 where the queue passes over who is not here, else 0

local desk = desk_open(desk_keys, skip == 1)
local known = desk_drop(desk, drop)
if not known then
  return answer('not-found')
end
if known.terms.status ~= 'paused' then
  return answer('wrong-state', { state = known.terms.status })
end
known.terms.status = 'open'
known.changed, known.turned = true, true
desk.events[1] = { type = 'drop.resumed', drop_id = drop }
desk_close(desk)
return answer('moved', { drop = drop_view(known.terms, known.stock), owed = desk.owed })
