-- Store a hold compactly: a list, not a map.
local function hold_write(holds_key, reservation, hold)
  redis.call('HSET', holds_key, reservation, cmsgpack.pack({
    hold.drop, hold.viewer, hold.quantity, hold.state, hold.unit_price, hold.expires_at, hold.order,
  }))
end
