-- The terms and status of a drop, or nil.
local function drop_read(drops_key, drop)
  local raw = redis.call('HGET', drops_key, drop)
  return raw and cmsgpack.unpack(raw)
end
