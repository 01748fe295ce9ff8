-- purpose: let a recorder have a show for a while longer, or no longer
-- returns: outcome leased with now, ms, and whether it was so before; taken where another recorder has the show;
--   limit-reached with the limit; or ended
-- events: none
--- @include "answer"
--- @include "now_ms"
local recordings_key = KEYS[1]  -- hash  show -> [end of the lease, secret]
local show = ARGV[1]  -- string  which show
local secret = ARGV[2]  -- string  by which the recorder is known, and viewers are hidden
local lease_ms = tonumber(ARGV[3])  -- integer  for so long from now; 0: no longer
local most = tonumber(ARGV[4])  -- integer  shows that may be recorded at the same time

local now = now_ms()
local lapsed, others = {}, 0
local mine
local flat = redis.call('HGETALL', recordings_key)
for i = 1, #flat, 2 do
  local lease = cmsgpack.unpack(flat[i + 1])
  if flat[i] == show then
    mine = lease
  elseif lease[1] < now then
    lapsed[#lapsed + 1] = flat[i]
  else
    others = others + 1
  end
end
local running = mine ~= nil and mine[1] >= now
if mine and mine[2] ~= secret and (running or lease_ms == 0) then
  return answer('taken')
end
if lease_ms > 0 and not running and others >= most then
  return answer('limit-reached', { limit = most })
end

for _, over in ipairs(lapsed) do
  redis.call('HDEL', recordings_key, over)
end
if lease_ms == 0 then
  redis.call('HDEL', recordings_key, show)
  return answer('ended')
end
redis.call('HSET', recordings_key, show, cmsgpack.pack({ now + lease_ms, secret }))
redis.call('PEXPIRE', recordings_key, lease_ms)
return answer('leased', { now = now, running = running })
