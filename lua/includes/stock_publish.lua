--- @include "stock_view"
-- Publish the numbers as a live number: no offset, only the newest counts. The line before the body names the drop.
local function stock_publish(live_key, drop, stock)
  local message = stock_view(drop, stock)
  message.type = 'stock.updated'
  redis.call('SPUBLISH', live_key, 's' .. drop .. '\n' .. cmsgpack.pack(message))
end
