--- @include "address_room"
--- @include "desk_address"
--- @include "desk_count"
--- @include "desk_free"
--- @include "desk_mine"
--- @include "desk_numbered"
-- Take the units of a reservation again that lapsed under its order's payment: the provider said yes after all. Return
-- whether they are still there for this viewer, whom the drop's limits bind as before. A drop that was closed meanwhile,
-- or whose show ended, counts as one in which what is held can still be paid, for an hour: after that its host has
-- counted what is left. It is the award of before, so the award log has nothing to say of it.
local function desk_retake(desk, own, hold, order, address)
  if not hold or hold.state ~= 5 or desk.status == 'frozen' then
    return false
  end
  local drop = desk_numbered(desk, hold.number)
  local terms, stock = drop.terms, drop.stock
  local taken, show = desk_count(desk, hold.viewer, hold.number)
  if desk_free(drop) < hold.quantity or taken + hold.quantity > terms.limit_per_viewer
      or show + hold.quantity > desk.limit or address_room(desk, drop, address) < hold.quantity
      or terms.closed_at and desk.now - terms.closed_at > 3600000 then
    return false
  end
  stock.available = stock.available - hold.quantity
  stock.held = stock.held + hold.quantity
  hold.state, hold.order, hold.address = 2, order, address or nil
  desk_address(desk, hold.number, hold.address, hold.quantity)
  local mine = desk_mine(desk, hold.viewer)
  local at = #mine + 1
  for i = 1, #mine, 3 do
    at = mine[i + 2] == own and mine[i] > 0 and i or at
  end
  mine[at], mine[at + 1], mine[at + 2] = hold.number, hold.quantity, own
  desk.owners[#desk.owners + 1] = hold.viewer
  return true
end
