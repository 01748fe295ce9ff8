--- @include "stock_store"
-- Store changed numbers under their next revision.
local function stock_write(stock_key, drop, stock)
  stock.revision = stock.revision + 1
  stock_store(stock_key, drop, stock)
end
