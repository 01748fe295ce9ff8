--- @include "desk_drop"
--- @include "desk_free"
--- @include "desk_take"
-- The most common wish of a burst, answered in short: who has nothing in this show yet reserves units that are there.
-- Return the award's rank, or nil where anything is out of the ordinary: then `batch_one` looks at all of it.
local function batch_newcomer(desk, batch, i)
  local own, viewer = batch.ids[i], batch.viewers[i]
  if desk.known[i] or desk.listed[i] or desk.holds[own] or desk.mine[viewer] then
    return nil
  end
  local drop = desk_drop(desk, batch.drops[batch.which[i]])
  if not drop then
    return nil
  end
  local terms, quantity = drop.terms, batch.quantities[i]
  if drop.most == nil then
    local plain = terms.status == 'open' and desk.status == 'live' and terms.mode == 'fifo'
    drop.most = plain and math.min(terms.limit_per_viewer, desk.limit) or 0
  end
  if quantity > drop.most or quantity > desk_free(drop) then
    return nil
  end
  desk.mine[viewer] = false
  return desk_take(desk, drop, own, viewer, quantity, desk.now + terms.hold_seconds * 1000)
end
