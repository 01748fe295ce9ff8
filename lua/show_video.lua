-- purpose: give the show a video, another one, or none
-- returns: outcome moved with the show; not-found; wrong-state where the show has ended
-- events: video.changed
--- @include "answer"
--- @include "log_append"
--- @include "now_ms"
--- @include "show_view"
local show_key = KEYS[1]  -- hash  status, offset, video_url
local log_key = KEYS[2]  -- stream  the show's events
local live_key = KEYS[3]  -- channel  events and live numbers
local url = ARGV[1]  -- string  where the video is; empty: there is none

local state = redis.call('HGET', show_key, 'status')
if not state then
  return answer('not-found')
end
if state == 'ended' then
  return answer('wrong-state', { state = state })
end
local event = { type = 'video.changed' }
if url == '' then
  redis.call('HDEL', show_key, 'video_url')
else
  redis.call('HSET', show_key, 'video_url', url)
  event.video_url = url
end
log_append(show_key, log_key, live_key, now_ms(), event)
return answer('moved', { show = show_view(show_key) })
