--- @include "stock_view"
-- Close a drop on the desk for good: nothing more can be taken; what is held can still be paid until it lapses. In a
-- draw this is the moment: the seed is told, and what is there goes to the entries in the order that it gives them.
local function drop_end(desk, drop)
  local terms, stock, events, undue = drop.terms, drop.stock, desk.events, desk.undue
  terms.status = 'closed'
  terms.closed_at = desk.now
  stock.backlog, stock.over = 0, true
  stock.revision = stock.revision + 1
  drop.changed, drop.turned = true, true
  if terms.mode == 'draw' and terms.seed_hash then
    terms.seed = redis.call('HGET', desk.keys.seeds, drop.id)
    stock.backlog = math.max(0, stock.available)
    events[#events + 1] = {
      type = 'drop.drawn', drop_id = drop.id, seed = terms.seed, seed_hash = terms.seed_hash,
      entries = stock.waiting, units = stock.available, chain = stock.chain,
    }
  end
  events[#events + 1] = { type = 'drop.closed', drop_id = drop.id, stock = stock_view(drop.id, stock) }
  for _, verb in ipairs({ 'open ', 'close ', 'wave ' }) do
    undue[#undue + 1] = verb .. drop.id
  end
end
