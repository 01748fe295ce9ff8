-- Give the event the show's next offset, write it to the capped log and publish it: once packed, never again.
-- A field that was packed by the caller is spliced in as it is, because Lua cannot tell an empty map from a list.
local function log_append(show_key, log_key, live_key, at, event, packed_name, packed_value)
  local offset = redis.call('HINCRBY', show_key, 'offset', 1)
  event.offset = offset
  event.at = at
  local packed = cmsgpack.pack(event)
  if packed_name then
    packed = string.char(packed:byte() + 1) .. packed:sub(2) .. cmsgpack.pack(packed_name) .. packed_value
  end
  local kept = redis.call('HGET', show_key, 'log_length')
  redis.call('XADD', log_key, 'MAXLEN', kept, string.format('%.0f-0', offset), 'e', packed)
  redis.call('SPUBLISH', live_key, string.format('e%.0f\n', offset) .. packed)
end
