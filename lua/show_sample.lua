-- purpose: note the show's figures as they are now, for its curves over time: once in a while, whoever comes first
-- returns: outcome noted; early where another note is younger than that; not-found; wrong-state where it is not on
-- events: none
--- @include "answer"
--- @include "now_ms"
local show_key = KEYS[1]  -- hash  status
local series_key = KEYS[2]  -- stream  figures over time
local point = ARGV[1]  -- msgpack list  the figures in the order of their names
local every_ms = tonumber(ARGV[2])  -- integer  between two notes
local most = tonumber(ARGV[3])  -- integer  notes that are kept, the newest

local state = redis.call('HGET', show_key, 'status')
if not state then
  return answer('not-found')
end
if state ~= 'live' and state ~= 'paused' then
  return answer('wrong-state', { state = state })
end
local now = now_ms()
local last = redis.call('XREVRANGE', series_key, '+', '-', 'COUNT', 1)[1]
if last and now < tonumber(last[1]:match('^%d+')) + every_ms then
  return answer('early')
end
redis.call('XADD', series_key, 'MAXLEN', most, string.format('%.0f-0', now), 'p', point)
return answer('noted')
