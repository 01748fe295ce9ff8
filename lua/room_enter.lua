-- purpose: let viewers into a show as long as it has room, and let the others wait: who came before the show began in
--   the order that their lots decide, who came later behind them in their own
-- returns: outcome looked, with open (whether the show has begun), places (for each viewer in their order: 0 where they
--   may come in, -1 where the line is full), waiting (how many wait), rate (turns per second lately, where there were
--   any), the show's title and starts_at where it is planned; gone where the show is
-- events: none
--- @include "answer"
--- @include "now_ms"
--- @include "room_gone"
--- @include "room_turns"
local show_key = KEYS[1]  -- hash  the show
local mine_key = KEYS[2]  -- hash  viewer -> what they have in the show
local viewers_key = KEYS[3]  -- hash  viewer here -> by how many processes
local seats_key = KEYS[4]  -- zset  viewer who is away -> until when their seat is kept, ms
local line_key = KEYS[5]  -- zset  viewer who waits -> their lot, below 1, or number, 1 and above
local heard_key = KEYS[6]  -- zset  viewer who waits -> when they asked last, ms
local door_key = KEYS[7]  -- hash  last (number given), due_us (of the pace), full_at, rate, rate_at, woke_at
local viewers = cmsgpack.unpack(ARGV[1])  -- list  who asks, each once
local lots = cmsgpack.unpack(ARGV[2])  -- list  a random number from 0 to below 1 for each
local capacity = tonumber(ARGV[3])  -- integer  viewers at once
local per_second = tonumber(ARGV[4])  -- integer  turns per second; 0: as many as there are seats
local keep_ms = tonumber(ARGV[5])  -- integer  how long a seat, a turn or a place waits for who is away
local longest = tonumber(ARGV[6])  -- integer  places in the line

assert(#viewers == #lots, 'lists of one length are expected')
for i, viewer in ipairs(viewers) do
  assert(type(viewer) == 'string' and type(lots[i]) == 'number', 'names and numbers are expected')
end
assert(capacity >= 0 and per_second >= 0 and keep_ms >= 0 and longest >= 0, 'numbers of 0 or more are expected')
local known = redis.call('HMGET', show_key, 'status', 'starts_at', 'title')
-- A show that is gone, or about to be, gets no new keys that would outlive it.
if redis.call('PTTL', show_key) ~= -1 then
  return answer('gone')
end
local now = now_ms()
local open = known[1] ~= 'scheduled'
redis.call('ZREMRANGEBYSCORE', seats_key, '-inf', now)
room_gone(line_key, heard_key, door_key, now, keep_ms)

local length = redis.call('ZCARD', line_key)
local free = capacity - redis.call('HLEN', viewers_key) - redis.call('ZCARD', seats_key)
local here = redis.call('HMGET', viewers_key, unpack(viewers))
local seats = redis.call('ZMSCORE', seats_key, unpack(viewers))
local parts = redis.call('HMGET', mine_key, unpack(viewers))
local stands = redis.call('ZMSCORE', line_key, unpack(viewers))
local places, stays, goes = {}, {}, {}
local function has_units(record)
  local mine = record and cmsgpack.unpack(record) or {}
  for n = 1, #mine, 3 do
    if mine[n] > 0 and mine[n + 1] > 0 then
      return true
    end
  end
  return false
end
for i, viewer in ipairs(viewers) do
  if here[i] or seats[i] or has_units(parts[i]) then
    -- Who has units here comes in whether there is room or not; the seat is theirs from here on.
    if not here[i] and not seats[i] then
      redis.call('ZADD', seats_key, now + keep_ms, viewer)
      free = free - 1
    end
    goes[#goes + 1] = stands[i] and viewer or nil
    places[i] = 0
  elseif stands[i] or length < longest + math.max(open and free or 0, 0) then
    if not stands[i] then
      redis.call('ZADD', line_key, open and redis.call('HINCRBY', door_key, 'last', 1) or lots[i], viewer)
      length = length + 1
    end
    stays[#stays + 1] = now
    stays[#stays + 1] = viewer
  else
    places[i] = -1
  end
end
if #stays > 0 then
  redis.call('ZADD', heard_key, unpack(stays))
end
if #goes > 0 then
  redis.call('ZREM', line_key, unpack(goes))
  redis.call('ZREM', heard_key, unpack(goes))
end

local rate
if open then
  rate = room_turns(seats_key, line_key, heard_key, door_key, now, free, per_second, keep_ms)
end
for i, viewer in ipairs(viewers) do
  if not places[i] then
    local rank = redis.call('ZRANK', line_key, viewer)
    places[i] = rank and rank + 1 or 0
  end
end
return answer('looked', {
  open = open, places = places, waiting = redis.call('ZCARD', line_key), rate = rate,
  starts_at = tonumber(known[2] or '') or nil, title = known[3],
})
