--- @include "answer"
--- @include "drop_read"
--- @include "drop_view"
--- @include "drop_write"
--- @include "log_append"
--- @include "now_ms"
--- @include "stock_read"
--- @include "stock_write"
-- Turn a drop from one state to another and log it. `keys` names the show's hashes, log and channel.
local function drop_turn(keys, drop, from, to, event)
  local terms = drop_read(keys.drops, drop)
  if not terms then
    return answer('not-found')
  end
  if terms.status ~= from then
    return answer('wrong-state', { state = terms.status })
  end
  local stock = stock_read(keys.stock, drop)
  terms.status = to
  drop_write(keys.drops, drop, terms)
  stock_write(keys.stock, drop, stock)
  log_append(keys.show, keys.log, keys.live, now_ms(), { type = event, drop_id = drop })
  return answer('moved', { drop = drop_view(terms, stock) })
end
