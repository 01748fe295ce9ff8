--- @include "drop_write"
--- @include "log_append"
--- @include "stock_view"
--- @include "stock_write"
-- Close a drop for good: nothing more can be taken; what is held can still be paid until it lapses.
local function drop_end(keys, drop, terms, stock, now)
  terms.status = 'closed'
  terms.closed_at = now
  drop_write(keys.drops, drop, terms)
  stock_write(keys.stock, drop, stock)
  redis.call('ZREM', keys.due, 'open ' .. drop, 'close ' .. drop)
  log_append(keys.show, keys.log, keys.live, now, {
    type = 'drop.closed', drop_id = drop, stock = stock_view(drop, stock),
  })
end
