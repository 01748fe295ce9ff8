-- Store the numbers of a drop as they are.
local function stock_store(stock_key, drop, stock)
  redis.call('HSET', stock_key, drop, cmsgpack.pack({
    stock.available, stock.held, stock.sold, stock.quantity, stock.revision, stock.sold_out_at,
    stock.told_at, stock.owed, stock.awards, stock.chain, stock.waiting, stock.joined, stock.backlog, stock.gone_at,
  }))
end
