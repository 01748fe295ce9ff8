-- The numbers as events and answers carry them; in a drop that is over nobody waits any more.
local function stock_view(drop, stock)
  return {
    drop_id = drop,
    available = math.max(0, stock.available),
    held = stock.held,
    sold = stock.sold,
    quantity = stock.quantity,
    revision = stock.revision,
    waitlist_length = stock.over and 0 or stock.waiting,
  }
end
