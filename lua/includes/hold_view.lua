-- A hold as the contract shows it: a reservation.
local function hold_view(desk, own, hold, drop)
  local states = { 'held', 'paying', 'sold', 'released', 'expired' }
  return {
    id = desk.prefix .. own,
    drop = drop.id,
    sku = drop.terms.sku,
    quantity = hold.quantity,
    state = states[hold.state],
    unit_price = hold.unit_price,
    currency = drop.terms.currency,
    expires_at = hold.expires_at,
  }
end
