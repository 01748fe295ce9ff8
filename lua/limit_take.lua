-- purpose: count what is limited, many takes in one step: each thing has its own rate and its own burst (GCRA)
-- returns: outcome counted, with waits: for each take in its order 0 where it was let through, else the milliseconds
--   until one would be; what is refused counts nothing
-- events: none
--- @include "answer"
--- @include "now_ms"
local limits_key = KEYS[1]  -- zset  thing -> when its burst is whole again, µs
local things = cmsgpack.unpack(ARGV[1])  -- list  hashed names; who is named twice takes twice, in this order
local intervals = cmsgpack.unpack(ARGV[2])  -- list  µs from one take to the next at the thing's rate, 1 or more
local bursts = cmsgpack.unpack(ARGV[3])  -- list  takes at once, 1 or more

assert(#things == #intervals and #things == #bursts, 'lists of one length are expected')
local now = now_ms() * 1000
local known = redis.call('ZMSCORE', limits_key, unpack(things))
local last = redis.call('ZRANGE', limits_key, -1, -1, 'WITHSCORES')[2]
local latest = math.max(tonumber(last or 0), now)
local whole, waits, changes = {}, {}, {}
for i, thing in ipairs(things) do
  local interval, burst = intervals[i], bursts[i]
  assert(interval >= 1 and burst >= 1, 'a rate and a burst of one or more are expected')
  local at = whole[thing] or tonumber(known[i] or 0)
  -- Never further off than a whole burst: the clock of a store that took over may be behind, and settings change.
  at = math.max(now, math.min(at, now + interval * burst))
  local early = at - now - interval * (burst - 1)
  waits[i] = early > 0 and math.ceil(early / 1000) or 0
  if waits[i] == 0 then
    at = at + interval
    whole[thing] = at
    latest = math.max(latest, at)
  end
end
for thing, at in pairs(whole) do
  changes[#changes + 1] = string.format('%.0f', at)
  changes[#changes + 1] = thing
end
if #changes > 0 then
  redis.call('ZREMRANGEBYSCORE', limits_key, '-inf', string.format('%.0f', now))
  redis.call('ZADD', limits_key, unpack(changes))
  redis.call('PEXPIREAT', limits_key, math.ceil(latest / 1000))
end
return answer('counted', { waits = waits })
