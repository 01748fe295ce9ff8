--- @include "drop_read"
--- @include "stock_read"
-- A drop on the desk, or nil: its `terms` and its `stock`, changed in place. Who changes the stock sets `changed`,
-- who changes the terms `turned`. `notes` gathers what the award log has to say of this step, `before` is what was
-- available ahead of it. Of its queue: the `line` as far as it was read, who `joined`, how many were `served`.
-- `stamps` are what `desk_stamp` packed, by units; whether `batch_award` may give it away is known as `plain`.
local function desk_drop(desk, drop)
  local known = desk.drops[drop]
  if known == nil then
    local terms = drop_read(desk.keys.drops, drop)
    known = terms and {
      id = drop, number = terms.number, terms = terms, stock = stock_read(desk.keys.stock, drop),
      changed = false, turned = false, notes = {}, line = { at = 1, whole = false }, joined = {}, served = 0, stamps = {},
    } or false
    if known then
      known.before = known.stock.available
      known.stock.over = terms.status == 'closed'
      desk.drops[#desk.drops + 1] = known
    end
    desk.drops[drop] = known
  end
  return known or nil
end
