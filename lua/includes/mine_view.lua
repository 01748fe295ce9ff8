--- @include "desk_hold"
--- @include "desk_numbered"
--- @include "hold_view"
--- @include "queue_position"
-- What each viewer has, as two packed lists per viewer: their reservations, oldest first, and their places in queues.
-- Commands are bounded by the arguments that Lua can pass.
local function mine_view(desk, viewers)
  local lists, wanted, packed = {}, {}, {}
  for i, mine in ipairs(redis.call('HMGET', desk.keys.mine, unpack(viewers))) do
    lists[i] = mine and cmsgpack.unpack(mine) or {}
    for n = 1, #lists[i], 3 do
      wanted[#wanted + 1] = lists[i][n] > 0 and lists[i][n + 2] or nil
    end
  end
  for first = 1, #wanted, 1000 do
    local upto = math.min(first + 999, #wanted)
    for n, record in ipairs(redis.call('HMGET', desk.keys.holds, unpack(wanted, first, upto))) do
      desk.holds[wanted[first + n - 1]] = record
    end
  end
  for i, mine in ipairs(lists) do
    local reservations, places = {}, {}
    for n = 1, #mine, 3 do
      local drop, own = desk_numbered(desk, math.abs(mine[n])), mine[n + 2]
      if mine[n] > 0 then
        reservations[#reservations + 1] = hold_view(desk, own, desk_hold(desk, own), drop)
      elseif drop.terms.status ~= 'closed' then
        local position = queue_position(desk, drop, drop.number .. ' ' .. viewers[i])
        places[#places + 1] = { drop = drop.id, position = position, quantity = mine[n + 1] }
      end
    end
    packed[2 * i - 1], packed[2 * i] = cmsgpack.pack(reservations), cmsgpack.pack(places)
  end
  return packed
end
