--- @include "desk_count"
--- @include "desk_drop"
--- @include "desk_free"
--- @include "desk_take"
-- The most common wish of a burst in short: the operation at `i` reserves units of one drop, and nothing speaks against
-- it. Return the award's rank, or nil where anything is out of the ordinary: then `batch_one` looks at all of it.
local function batch_award(desk, batch, i)
  local own, viewer, quantity = batch.ids[i], batch.viewers[i], batch.quantities[i]
  local drop = not desk.known[i] and not desk.holds[own] and desk_drop(desk, batch.drops[batch.which[i]])
  if not drop or quantity > desk_free(drop) then
    return nil
  end
  local terms = drop.terms
  if drop.plain == nil then
    drop.plain = terms.status == 'open' and desk.status == 'live' and terms.mode == 'fifo'
  end
  if desk.mine[viewer] == nil then
    desk.mine[viewer] = desk.listed[i]
  end
  local taken, show = desk_count(desk, viewer, drop.number)
  if not drop.plain or quantity < 1 or taken + quantity > terms.limit_per_viewer or show + quantity > desk.limit then
    return nil
  end
  return desk_take(desk, drop, own, viewer, quantity, desk.now + terms.hold_seconds * 1000)
end
