-- A hold as the contract shows it: a reservation.
local function hold_view(reservation, hold, terms)
  return {
    id = reservation,
    drop = hold.drop,
    sku = terms.sku,
    quantity = hold.quantity,
    state = hold.state,
    unit_price = hold.unit_price,
    currency = terms.currency,
    expires_at = hold.expires_at,
  }
end
