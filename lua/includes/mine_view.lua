--- @include "drop_read"
--- @include "hold_read"
--- @include "hold_view"
-- The viewer's own reservations, oldest first.
local function mine_view(mine_key, holds_key, drops_key, viewer)
  local raw = redis.call('HGET', mine_key, viewer)
  local views = {}
  for _, reservation in ipairs(raw and cmsgpack.unpack(raw) or {}) do
    local hold = hold_read(holds_key, reservation)
    if hold then
      views[#views + 1] = hold_view(reservation, hold, drop_read(drops_key, hold.drop))
    end
  end
  return views
end
