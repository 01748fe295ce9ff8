-- The numbers as events and answers carry them.
local function stock_view(drop, stock)
  return {
    drop_id = drop,
    available = stock.available,
    held = stock.held,
    sold = stock.sold,
    quantity = stock.quantity,
    revision = stock.revision,
  }
end
