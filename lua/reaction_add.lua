-- purpose: add a gateway's gathered reactions to the show's counts
-- returns: outcome counted
-- events: the live reaction counts
--- @include "answer"
local show_key = KEYS[1]  -- hash  the show
local reactions_key = KEYS[2]  -- hash  kind -> count
local live_key = KEYS[3]  -- channel  events and live numbers
local added = cmsgpack.unpack(ARGV[1])  -- map  kind -> how many more
local most = tonumber(ARGV[2])  -- integer  kinds that a show may have

if redis.call('PTTL', show_key) ~= -1 then
  return answer('counted')
end
for kind, count in pairs(added) do
  if redis.call('HEXISTS', reactions_key, kind) == 1 or redis.call('HLEN', reactions_key) < most then
    redis.call('HINCRBY', reactions_key, kind, count)
  end
end
local counts = {}
local flat = redis.call('HGETALL', reactions_key)
for i = 1, #flat, 2 do
  counts[flat[i]] = tonumber(flat[i + 1])
end
redis.call('SPUBLISH', live_key, 'r\n' .. cmsgpack.pack({ type = 'reactions', counts = counts }))
return answer('counted')
