-- purpose: go on giving a drop's units to who waits for them, where one step was too short or somebody was not here
-- returns: outcome moved; not-found
-- events: the live stock; promotions to their viewers
--- @include "answer"
--- @include "desk_close"
--- @include "desk_drop"
--- @include "desk_open"
--- @include "desk_promote"
--- @include "promote_due"
--- @keys "desk_keys"
local drop = ARGV[1]  -- string  which drop
local by = ARGV[2]  -- string  clock: nobody else asks for this
local skip = tonumber(ARGV[3])  -- integer  1 where the queue passes over who is not here, else 0

local desk = desk_open(desk_keys, skip == 1)
local known = desk_drop(desk, drop)
if not known or by ~= 'clock' then
  redis.call('ZREM', due_key, 'promote ' .. drop)
  return answer('not-found')
end
desk.undue[1] = 'promote ' .. drop
desk_promote(desk, known)
desk_close(desk)
if not known.changed then
  promote_due(desk, known)
end
return answer('moved', { owed = desk.owed })
