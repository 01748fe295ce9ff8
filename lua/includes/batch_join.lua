--- @include "address_room"
--- @include "desk_count"
--- @include "desk_drop"
--- @include "desk_hold"
--- @include "desk_join"
--- @include "desk_promote"
-- Let a viewer wait for units of a drop, or enter its draw; the place's numbers are filled in once all is written. A
-- repeat finds its place, or what was served from it, before anything can refuse it. `ask.most` bounds the queue.
local function batch_join(desk, ask)
  local drop = desk_drop(desk, ask.drop)
  if not drop then
    return { 'not-found' }
  end
  local terms, place = drop.terms, queue_record(desk, drop, ask.viewer)
  if place and place.own == ask.own then
    return { 'waiting', place = place }
  elseif desk_hold(desk, ask.own) then
    return { 'waiting', 0 }
  end
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
  place = desk_join(desk, drop, ask.viewer, ask.own, ask.quantity, ask.address)
  desk_promote(desk, drop)
  return { 'waiting', place = place }
end
