--- @include "desk_address"
--- @include "desk_finish"
--- @include "desk_hold"
--- @include "desk_keep"
--- @include "desk_mine"
--- @include "desk_note"
--- @include "hold_tell"
-- Make a reservation what the ledger says it is: sold to an order, less what returned from it. One that is lost here is
-- an award anew. The drop's numbers are the caller's business.
local function desk_sell(desk, drop, sale)
  local own, units, hold = sale.own, sale.quantity - sale.returned, desk_hold(desk, sale.own)
  if not hold then
    drop.stock.awards = drop.stock.awards + 1
    hold = {
      number = drop.number, viewer = sale.viewer, quantity = sale.quantity, rank = drop.stock.awards,
      unit_price = sale.unit_price, expires_at = desk.now,
    }
    desk.holds[own] = hold
    desk_note(drop, 'rebuilt', own, sale.quantity, drop.stock.awards)
  else
    desk_address(desk, drop.number, hold.address, (hold.returned or 0) - sale.returned)
  end
  local mine, listed = desk_mine(desk, hold.viewer), false
  for i = 1, #mine, 3 do
    local same = mine[i + 2] == own and mine[i] > 0
    mine[i + 1], listed = same and units or mine[i + 1], listed or same
  end
  desk.owners[#desk.owners + 1] = hold.viewer
  if not listed then
    desk_keep(desk, hold.viewer, drop.number, units, own)
  end
  hold.state, hold.order, hold.deadline = units > 0 and 3 or 4, sale.order, nil
  hold.returned = units > 0 and sale.returned > 0 and sale.returned or nil
  desk.fresh[#desk.fresh + 1] = own
  if units == 0 then
    hold.address = nil
    desk_finish(desk, hold.viewer, own)
  end
  hold_tell(desk, own, hold, drop)
end
