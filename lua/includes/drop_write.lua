-- Store the terms and status of a drop.
local function drop_write(drops_key, drop, terms)
  redis.call('HSET', drops_key, drop, cmsgpack.pack(terms))
end
