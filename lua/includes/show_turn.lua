--- @include "answer"
--- @include "log_append"
--- @include "now_ms"
--- @include "show_view"
-- Turn a show from one state to another and log it, noting the time in the field `stamp` where one is named.
local function show_turn(show_key, log_key, live_key, from, to, event, stamp)
  local state = redis.call('HGET', show_key, 'status')
  if not state then
    return answer('not-found')
  end
  local frozen = redis.call('HEXISTS', show_key, 'frozen') == 1
  if state ~= from or frozen then
    return answer('wrong-state', { state = frozen and 'frozen' or state })
  end
  local now = now_ms()
  redis.call('HSET', show_key, 'status', to)
  if stamp then
    redis.call('HSET', show_key, stamp, string.format('%.0f', now))
  end
  log_append(show_key, log_key, live_key, now, { type = event })
  return answer('moved', { show = show_view(show_key) })
end
