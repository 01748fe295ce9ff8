--- @include "drop_read"
--- @include "hold_unpack"
--- @include "hold_view"
-- Each viewer's own reservations, oldest first, as one packed list per viewer. `terms` (drop -> its terms) holds
-- what is known already and is filled with what is needed. Commands are bounded by the arguments that Lua can pass.
local function mine_view(mine_key, holds_key, drops_key, viewers, terms)
  local wanted, last = {}, {}
  for i, mine in ipairs(redis.call('HMGET', mine_key, unpack(viewers))) do
    for _, reservation in ipairs(mine and cmsgpack.unpack(mine) or {}) do
      wanted[#wanted + 1] = reservation
    end
    last[i] = #wanted
  end
  local holds = {}
  for first = 1, #wanted, 1000 do
    for _, hold in ipairs(redis.call('HMGET', holds_key, unpack(wanted, first, math.min(first + 999, #wanted)))) do
      holds[#holds + 1] = hold
    end
  end
  local lists = {}
  for i = 1, #viewers do
    local views = {}
    for at = (last[i - 1] or 0) + 1, last[i] do
      local hold = holds[at] and hold_unpack(holds[at])
      if hold then
        terms[hold.drop] = terms[hold.drop] or drop_read(drops_key, hold.drop)
        views[#views + 1] = hold_view(wanted[at], hold, terms[hold.drop])
      end
    end
    lists[i] = cmsgpack.pack(views)
  end
  return lists
end
