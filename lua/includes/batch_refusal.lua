--- @include "address_room"
--- @include "desk_count"
--- @include "desk_drop"
--- @include "desk_free"
-- Why a viewer may not have units of a drop now: an outcome and its numbers, or nil. `more` is what else the same
-- operation takes of the show.
local function batch_refusal(desk, ask, more)
  local drop = desk_drop(desk, ask.drop)
  if not drop then
    return { 'not-found' }
  end
  local terms, stock = drop.terms, drop.stock
  if terms.status == 'closed' then
    return { 'drop-closed' }
  elseif desk.status ~= 'live' then
    return { 'show-not-live', desk.status }
  elseif terms.status ~= 'open' then
    return { 'drop-not-open', terms.status, terms.opens_at }
  elseif terms.mode ~= ask.mode then
    return { 'wrong-mode', terms.mode }
  end
  local available = desk_free(drop)
  local taken, show = desk_count(desk, ask.viewer, drop.number)
  if taken + ask.quantity > terms.limit_per_viewer then
    return { 'limit-reached', terms.limit_per_viewer, taken, 'viewer' }
  elseif show + more + ask.quantity > desk.limit then
    return { 'limit-reached', desk.limit, show, 'show' }
  end
  if address_room(desk, drop, ask.address) < ask.quantity then
    return { 'limit-reached', terms.limit_per_address, terms.limit_per_address, 'address' }
  end
  local some = ask.part and (available > 0 or terms.waitlist and stock.waiting < ask.most)
  if available < ask.quantity and not some then
    desk.unmet = desk.unmet + ask.quantity
    return { 'out-of-stock', available, stock.held, stock.gone_at, terms.opened_at }
  end
end
