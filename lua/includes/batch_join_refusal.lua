--- @include "address_room"
--- @include "desk_count"
--- @include "draw_left"
-- Why a viewer may not wait for units of a drop, or enter its draw: an outcome and its numbers, or nil. `ask.most`
-- bounds the queue; a viewer enters a draw 8 times at most, because its record has every entry.
local function batch_join_refusal(desk, drop, ask, place)
  local terms = drop.terms
  if terms.status == 'closed' then
    return { 'drop-closed' }
  elseif desk.status ~= 'live' and desk.status ~= 'paused' then
    return { 'show-not-live', desk.status }
  elseif terms.status ~= 'open' and terms.status ~= 'paused' then
    return { 'drop-not-open', terms.status, terms.opens_at }
  elseif terms.mode == 'first_paid' or terms.mode == 'fifo' and not terms.waitlist then
    return { 'no-waitlist', terms.mode }
  end
  local taken = desk_count(desk, ask.viewer, drop.number)
  if taken + ask.quantity > terms.limit_per_viewer then
    return { 'limit-reached', terms.limit_per_viewer, taken, 'viewer' }
  elseif address_room(desk, drop, ask.address) < ask.quantity then
    return { 'limit-reached', terms.limit_per_address, terms.limit_per_address, 'address' }
  elseif not place and drop.stock.waiting >= ask.most then
    return { 'limit-reached', ask.most, drop.stock.waiting, 'queue' }
  end
  local left = not place and terms.mode == 'draw' and draw_left(desk, drop.number .. ' ' .. ask.viewer)
  if left and left >= 8 then
    return { 'limit-reached', 8, left, 'entries' }
  end
end
