-- purpose: let a paused show go on; where units and people wait for each other, a worker brings them together
-- returns: outcome moved with the show; not-found; wrong-state unless it is paused
-- events: show.resumed
--- @include "show_turn"
local show_key = KEYS[1]  -- hash  status, offset
local drops_key = KEYS[2]  -- hash  drop -> terms
local due_key = KEYS[3]  -- zset  planned moves by time
local log_key = KEYS[4]  -- stream  the show's events
local live_key = KEYS[5]  -- channel  events and live numbers

local state = redis.call('HMGET', show_key, 'status', 'frozen')
local turned = show_turn(show_key, log_key, live_key, 'paused', 'live', 'show.resumed')
if state[1] == 'paused' and not state[2] then
  for _, drop in ipairs(redis.call('HKEYS', drops_key)) do
    redis.call('ZADD', due_key, 0, 'promote ' .. drop)
  end
end
return turned
