-- Give free seats to those who wait longest, as fast as the pace allows. Returns how many turns per second were given
-- lately, once the show has been full: how fast it fills tells nothing about how fast the line moves then.
local function room_turns(seats_key, line_key, heard_key, door_key, now, free, per_second, keep_ms)
  local most, spread_ms = 256, 60000
  local door = redis.call('HMGET', door_key, 'due_us', 'full_at', 'rate', 'rate_at')
  local interval = per_second > 0 and 1000000 / per_second or 0
  local due = math.max(tonumber(door[1] or '0'), (now - 1000) * 1000)
  local turns = math.min(free, most, interval > 0 and math.floor((now * 1000 - due) / interval) or most)
  local given = 0
  if turns > 0 then
    for i, item in ipairs(redis.call('ZPOPMIN', line_key, turns)) do
      if i % 2 == 1 then
        redis.call('ZADD', seats_key, now + keep_ms, item)
        redis.call('ZREM', heard_key, item)
        given = given + 1
      end
    end
  end
  local full_at, rate = tonumber(door[2] or '0'), 0
  if full_at > 0 then
    rate = tonumber(door[3]) * math.exp((tonumber(door[4]) - now) / spread_ms) + given * 1000 / spread_ms
  end
  if given > 0 or (full_at == 0 and free <= 0) then
    full_at = full_at == 0 and free <= given and now or full_at
    redis.call('HSET', door_key, 'due_us', string.format('%.0f', due + given * interval), 'full_at', full_at,
      'rate', tostring(rate), 'rate_at', now)
  end
  return rate > 0 and rate or nil
end
