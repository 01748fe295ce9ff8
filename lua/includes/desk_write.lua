--- @include "hold_pack"
-- Write the holds of a step, what their viewers have, when they lapse, and what addresses took: one command per kind
-- of record, cut where it would have more arguments than Lua passes.
local function desk_write(desk)
  local keys, holds, mine = desk.keys, {}, {}
  for i, own in ipairs(desk.fresh) do
    local hold = desk.holds[own]
    holds[2 * i - 1] = own
    holds[2 * i] = type(hold) == 'string' and hold or hold_pack(hold)
  end
  for _, viewer in ipairs(desk.owners) do
    local list, last = desk.mine[viewer], #mine
    if #list == 0 then
      redis.call('HDEL', keys.mine, viewer)
    else
      mine[last + 1] = viewer
      mine[last + 2] = type(list) == 'string' and list or cmsgpack.pack(list)
    end
  end
  for first = 1, #holds, 1000 do
    redis.call('HSET', keys.holds, unpack(holds, first, math.min(first + 999, #holds)))
  end
  for first = 1, #mine, 1000 do
    redis.call('HSET', keys.mine, unpack(mine, first, math.min(first + 999, #mine)))
  end
  for at, own in pairs(desk.lapses) do
    redis.call('ZADD', keys.expiry, at, table.concat(own, ' '))
  end
  for counted, units in pairs(desk.addresses) do
    if redis.call('HINCRBY', keys.addresses, counted, units) <= 0 then
      redis.call('HDEL', keys.addresses, counted)
    end
  end
end
