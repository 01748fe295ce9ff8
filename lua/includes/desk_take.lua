--- @include "desk_address"
--- @include "desk_keep"
--- @include "desk_lapse"
--- @include "desk_note"
-- Award units of a drop to a viewer: a hold until `expires_at`. The caller has checked that they may have them.
local function desk_take(desk, drop, own, viewer, quantity, expires_at, address)
  local stock = drop.stock
  stock.available = stock.available - quantity
  stock.held = stock.held + quantity
  stock.awards = stock.awards + 1
  drop.changed = true
  desk_note(drop, 'awarded', own, quantity, stock.awards)
  local hold = {
    number = drop.number, viewer = viewer, quantity = quantity, state = 1, unit_price = drop.terms.unit_price,
    expires_at = expires_at, rank = stock.awards, address = address,
  }
  desk.holds[own] = hold
  desk.fresh[own] = hold
  desk_keep(desk, viewer, drop.number, quantity, own)
  desk_lapse(desk, expires_at, own)
  desk_address(desk, drop.number, address, quantity)
  return hold
end
