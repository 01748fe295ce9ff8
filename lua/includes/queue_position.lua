-- Where somebody stands in a drop's queue, 1 for the next; 0 for who stands in none. In a draw: which entry it is.
local function queue_position(desk, drop, name)
  local score = redis.call('ZSCORE', desk.keys.waitlist, name)
  if not score or drop.stock.over and drop.terms.mode ~= 'draw' then
    return 0
  elseif drop.terms.mode == 'draw' then
    return cmsgpack.unpack(redis.call('HGET', desk.keys.waiting, name))[6]
  end
  return redis.call('ZCOUNT', desk.keys.waitlist, drop.number * 2 ^ 40, score)
end
