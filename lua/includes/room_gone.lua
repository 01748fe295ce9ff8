-- Let those go who were not heard of for so long, some at a time. Where nobody was heard of for half that time, it was
-- we who were away: everybody keeps their place, and has as long again to be heard of.
local function room_gone(line_key, heard_key, door_key, now, keep_ms)
  local newest = redis.call('ZRANGE', heard_key, -1, -1, 'WITHSCORES')[2]
  if newest and tonumber(newest) < now - keep_ms / 2 then
    redis.call('HSET', door_key, 'woke_at', now)
    return
  end
  if tonumber(redis.call('HGET', door_key, 'woke_at') or '0') > now - keep_ms then
    return
  end
  local gone = redis.call('ZRANGE', heard_key, '-inf', now - keep_ms, 'BYSCORE', 'LIMIT', 0, 1000)
  if #gone > 0 then
    redis.call('ZREM', line_key, unpack(gone))
    redis.call('ZREM', heard_key, unpack(gone))
  end
end
