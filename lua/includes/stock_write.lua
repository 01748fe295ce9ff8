-- Store the numbers under their next revision.
local function stock_write(stock_key, drop, stock)
  stock.revision = stock.revision + 1
  redis.call('HSET', stock_key, drop, cmsgpack.pack({
    stock.available, stock.held, stock.sold, stock.quantity, stock.revision, stock.sold_out_at,
  }))
end
