--- @include "stock_view"
-- Add units to a drop on the desk and log it, `wave` being the number of the wave that they come with, if any. The
-- event has the numbers of this moment, a revision of their own; who waits gets theirs when the desk is closed.
local function desk_restock(desk, drop, quantity, wave)
  local stock = drop.stock
  stock.available = stock.available + quantity
  stock.quantity = stock.quantity + quantity
  stock.revision = stock.revision + 1
  stock.sold_out_at, stock.gone_at = 0, 0
  drop.before = stock.available
  drop.changed = true
  desk.events[#desk.events + 1] = {
    type = 'drop.restocked', drop_id = drop.id, stock = stock_view(drop.id, stock), wave = wave,
  }
end
