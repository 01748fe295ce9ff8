-- purpose: let a paused show go on
-- returns: outcome moved with the show; not-found; wrong-state unless it is paused
-- events: show.resumed
--- @include "answer"
--- @include "log_append"
--- @include "now_ms"
--- @include "show_view"
local show_key = KEYS[1]  -- hash  status, offset
local log_key = KEYS[2]  -- stream  the show's events
local live_key = KEYS[3]  -- channel  events and live numbers

local state = redis.call('HGET', show_key, 'status')
if not state then
  return answer('not-found')
end
if state ~= 'paused' then
  return answer('wrong-state', { state = state })
end
local now = now_ms()
redis.call('HSET', show_key, 'status', 'live')
log_append(show_key, log_key, live_key, now, { type = 'show.resumed' })
return answer('moved', { show = show_view(show_key) })
