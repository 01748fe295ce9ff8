-- purpose: halt a live show: nothing can be taken until it resumes; holds run on
-- returns: outcome moved with the show; not-found; wrong-state unless it is live
-- events: show.paused
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
if state ~= 'live' then
  return answer('wrong-state', { state = state })
end
local now = now_ms()
redis.call('HSET', show_key, 'status', 'paused')
log_append(show_key, log_key, live_key, now, { type = 'show.paused' })
return answer('moved', { show = show_view(show_key) })
