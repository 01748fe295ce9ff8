--- @include "log_append"
--- @include "promote_due"
--- @include "stock_due"
--- @include "stock_publish"
--- @include "stock_write"
-- Store a drop's changed numbers and tell them. Stock that flutters around zero is told by the live number; the log
-- says that it is sold out at most once a second. Where units and people wait for each other, a worker looks again.
local function desk_tell(desk, drop)
  local keys, stock = desk.keys, drop.stock
  local gone = stock.available == 0 and drop.before > 0
  local sold_out = gone and not stock.over and desk.now - stock.sold_out_at >= 1000
  stock.gone_at = stock.available > 0 and 0 or gone and desk.now or stock.gone_at
  stock.sold_out_at = sold_out and desk.now or stock.sold_out_at
  local due = stock_due(desk, drop)
  stock_write(keys.stock, drop.id, stock)
  if sold_out then
    log_append(keys.show, keys.log, keys.live, desk.now, { type = 'drop.sold_out', drop_id = drop.id })
  end
  if due then
    stock_publish(keys.live, drop.id, stock)
  end
  promote_due(desk, drop)
end
