-- purpose: keep who is here, by viewer over all processes, each process telling of its own viewers under one lease
-- returns: outcome counted with the count, and more where viewers of lapsed processes are still to be taken out;
--          unknown where the process must tell all its viewers anew under another name; gone where the show is
-- events: the live viewer count, where it changed
--- @include "answer"
--- @include "now_ms"
--- @include "viewer_leave"
local show_key = KEYS[1]  -- hash  the show
local gateways_key = KEYS[2]  -- hash  process -> [end of its lease, 0 once taken out; its last turn]
local present_key = KEYS[3]  -- zset  process and viewer, by name: one process' viewers stand together
local viewers_key = KEYS[4]  -- hash  viewer -> by how many processes
local audience_key = KEYS[5]  -- hyperloglog  distinct viewers who came
local figures_key = KEYS[6]  -- hash  viewers, peak_viewers
local live_key = KEYS[7]  -- channel  events and live numbers
local seats_key = KEYS[8]  -- zset  viewer who is away -> until when their seat is kept, ms
local gateway = ARGV[1]  -- string  the process, by the name it has in this show
local turn = tonumber(ARGV[2])  -- integer  which of its calls this is, from 1
local here = cmsgpack.unpack(ARGV[3])  -- list  viewers who came to this process
local left = cmsgpack.unpack(ARGV[4])  -- list  viewers who left it
local lease_ms = tonumber(ARGV[5])  -- integer  how long the process counts unheard; 0: not at all
local most = tonumber(ARGV[6])  -- integer  lapsed processes' viewers to take out at once
local keep_ms = tonumber(ARGV[7])  -- integer  how long who leaves keeps the seat; 0: there is room for all

-- A show that is gone, or about to be, gets no new keys that would outlive it.
if redis.call('PTTL', show_key) ~= -1 then
  return answer('gone')
end
local now = now_ms()
local record = redis.call('HGET', gateways_key, gateway)
local lease = record and cmsgpack.unpack(record) or { now, 0 }
if lease[1] == 0 or turn > lease[2] + 1 then
  return answer('unknown')
end
-- A turn before the last was held up on its way: it is no news. The last one again only renews the lease.
if turn >= lease[2] then
  for _, viewer in ipairs(here) do
    if redis.call('ZADD', present_key, 0, gateway .. '\0' .. viewer) == 1 then
      redis.call('HINCRBY', viewers_key, viewer, 1)
      redis.call('PFADD', audience_key, viewer)
      if keep_ms > 0 then
        redis.call('ZREM', seats_key, viewer)
      end
    end
  end
  for _, viewer in ipairs(left) do
    viewer_leave(present_key, viewers_key, seats_key, gateway, viewer, keep_ms > 0 and now + keep_ms)
  end
  redis.call('HSET', gateways_key, gateway, cmsgpack.pack({ now + lease_ms, turn }))
end

local flat = redis.call('HGETALL', gateways_key)
for i = 1, #flat, 2 do
  local name, ends = flat[i], cmsgpack.unpack(flat[i + 1])
  if ends[1] <= now and most > 0 then
    local first, last = '[' .. name .. '\0', '(' .. name .. '\1'
    local gone = redis.call('ZRANGE', present_key, first, last, 'BYLEX', 'LIMIT', 0, most)
    for _, member in ipairs(gone) do
      local viewer = member:sub(#name + 2)
      viewer_leave(present_key, viewers_key, seats_key, name, viewer, keep_ms > 0 and now + keep_ms)
    end
    most = most - #gone
    if most > 0 then
      redis.call('HDEL', gateways_key, name)
    else
      redis.call('HSET', gateways_key, name, cmsgpack.pack({ 0, ends[2] }))
    end
  end
end

local count = redis.call('HLEN', viewers_key)
local known = redis.call('HMGET', figures_key, 'viewers', 'peak_viewers')
if count ~= tonumber(known[1] or '0') then
  redis.call('HSET', figures_key, 'viewers', count, 'peak_viewers', math.max(count, tonumber(known[2] or '0')))
  redis.call('SPUBLISH', live_key, 'c\n' .. cmsgpack.pack({ type = 'viewers.updated', count = count }))
end
return answer('counted', { count = count, more = most == 0 })
