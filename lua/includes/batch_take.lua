--- @include "batch_refusal"
--- @include "batch_repeat"
--- @include "desk_hold"
--- @include "desk_join"
--- @include "desk_take"
--- @include "hold_view"
-- Take units for one operation: all that it asks for, of every drop that it names, or none. Return an outcome for
-- each; a repeat meets the holds that its first run made. In part: what is left, and a place in the queue for the rest.
local function batch_take(desk, asks)
  local out, more = {}, 0
  local first, waiting = batch_repeat(desk, asks)
  if waiting then
    return { { 'held', 0, 0, 0, place = waiting } }
  end
  for i, ask in ipairs(asks) do
    local hold = first and desk_hold(desk, ask.own)
    local drop = first and desk_numbered(desk, (hold or first).number)
    if first and (not hold or drop.id ~= ask.drop or hold.quantity ~= ask.quantity and not ask.part) then
      return { { 'idempotency-mismatch', drop.id, (hold or first).quantity } }
    end
    out[i] = first and { 'replayed', hold_view(desk, ask.own, hold, drop), hold.rank } or batch_refusal(desk, ask, more)
    if out[i] and not first then
      return out
    end
    more = more + ask.quantity
  end
  for i, ask in ipairs(first and {} or asks) do
    local drop = desk_drop(desk, ask.drop)
    local quantity = math.min(ask.quantity, desk_free(drop))
    local until_at = desk.now + (ask.claim_ms or drop.terms.hold_seconds * 1000)
    out[i] = { 'held', quantity, until_at, drop.stock.awards + 1 }
    if quantity > 0 then
      desk_take(desk, drop, ask.own, ask.viewer, quantity, until_at, ask.address)
    end
    if quantity < ask.quantity and drop.terms.waitlist and drop.stock.waiting < ask.most then
      out[i].place = desk_join(desk, drop, ask.viewer, ask.own .. 'w', ask.quantity - quantity, ask.address)
    end
  end
  return out
end
