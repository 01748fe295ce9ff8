--- @include "address_room"
--- @include "desk_count"
--- @include "desk_hold"
--- @include "desk_take"
--- @include "desk_unqueue"
--- @include "hold_tell"
--- @include "queue_next"
--- @include "queue_own"
-- Give what is available to those who wait, first come, first served; after a draw in the order of the draw. Who may
-- have some but not all of what they asked for gets that, and keeps the place for the rest. At most 256 are served in
-- one step. Where more could be, or nobody can be now, `backlog` keeps the units from newcomers until they are.
local function desk_promote(desk, drop)
  local stock, terms, known = drop.stock, drop.terms, drop.stock.backlog
  local drawn = terms.mode == 'draw'
  local left = drawn and stock.backlog or stock.available
  local serving = drawn or terms.status == 'open' and desk.status == 'live'
  if desk.skip == nil or desk.status == 'frozen' then
    return
  end
  local place = serving and left > 0 and stock.waiting > 0 and queue_next(desk, drop)
  while place and left > 0 and drop.served < 256 do
    local taken, show = desk_count(desk, place.viewer, drop.number)
    local room = math.min(terms.limit_per_viewer - taken, desk.limit - show, place.quantity,
      address_room(desk, drop, place.address))
    local given = math.min(room, left)
    if given > 0 then
      local own = queue_own(desk, place)
      desk_take(desk, drop, own, place.viewer, given, desk.now + terms.hold_seconds * 1000, place.address)
      hold_tell(desk, own, desk_hold(desk, own), drop, true)
      left = left - given
    end
    desk_unqueue(desk, drop, place, given, given == room)
    drop.served = drop.served + 1
    place = queue_next(desk, drop)
  end
  local halted = not serving and terms.status ~= 'closed'
  local kept = left > 0 and stock.waiting > 0 and (halted or place)
  stock.backlog = kept and (drawn and left or 1) or 0
  drop.changed = drop.changed or stock.backlog ~= known
end
