--- @include "desk_address"
--- @include "desk_finish"
--- @include "desk_numbered"
-- Give a hold's units back: from held (or paying) to available, and off what counts for its viewer. `state`: 4 released,
-- 5 expired. Its deadline stays in the index and means nothing any more.
local function desk_let_go(desk, own, hold, state)
  local drop = desk_numbered(desk, hold.number)
  drop.stock.available = drop.stock.available + hold.quantity
  drop.stock.held = drop.stock.held - hold.quantity
  drop.changed = true
  desk_finish(desk, hold.viewer, own)
  desk_address(desk, hold.number, hold.address, -hold.quantity)
  hold.state = state
  hold.order, hold.deadline, hold.address = nil, nil, nil
  desk.fresh[#desk.fresh + 1] = own
  return drop
end
