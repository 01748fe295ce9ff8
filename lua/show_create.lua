-- purpose: make a scheduled show with an empty log
-- returns: outcome created | replayed with the show
-- events: none
--- @include "answer"
--- @include "now_ms"
--- @include "show_view"
local show_key = KEYS[1]  -- hash  the show
local terms = cmsgpack.unpack(ARGV[1])  -- map  id, title, currency, host, locale?, starts_at?, video_url? …
local epoch = ARGV[2]  -- string  the name of this unbroken life of the log
local log_length = tonumber(ARGV[3])  -- integer  events that the log keeps

assert(log_length >= 0, 'a log of no event or more is expected')
if redis.call('EXISTS', show_key) == 1 then
  return answer('replayed', { show = show_view(show_key) })
end
for name, value in pairs(terms) do
  redis.call('HSET', show_key, name, type(value) == 'number' and string.format('%.0f', value) or value)
end
redis.call('HSET', show_key, 'status', 'scheduled', 'created_at', string.format('%.0f', now_ms()),
  'epoch', epoch, 'offset', 0, 'log_length', log_length)
return answer('created', { show = show_view(show_key) })
