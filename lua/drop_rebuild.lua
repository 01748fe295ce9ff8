-- purpose: set a drop of a frozen show to what the ledger and the surviving holds say: who bought what, what is left
-- returns: outcome rebuilt with its numbers; changed where they are no longer what the caller counted; not-frozen where
--   the show is not, or by another rebuild since
-- events: the live stock
--- @include "answer"
--- @include "desk_close"
--- @include "desk_drop"
--- @include "desk_hold"
--- @include "desk_let_go"
--- @include "desk_note"
--- @include "desk_open"
--- @include "desk_sell"
--- @include "hold_tell"
--- @keys "desk_keys"
local drop = ARGV[1]  -- string  which drop
local epoch = ARGV[2]  -- string  of the freeze
local revision = tonumber(ARGV[3])  -- integer  of the numbers that the caller counted, -1: the drop is lost
local plan = cmsgpack.unpack(ARGV[4])  -- map  terms?, quantity, held, sold, sales, lapsed, first, seed, seed_hash

for _, units in ipairs({ plan.quantity, plan.held, plan.sold }) do
  assert(units >= 0 and units < 2 ^ 40, 'units are counted from 0 up, and not beyond what numbers can add')
end
local state = redis.call('HMGET', show_key, 'epoch', 'frozen')
if not state[2] or state[1] ~= epoch then
  return answer('not-frozen')
end
local desk = desk_open(desk_keys)
local known = desk_drop(desk, drop)
if (known and known.stock.revision or -1) ~= revision then
  return answer('changed')
end
local terms = plan.terms or known.terms
if not known then
  known = {
    id = drop, number = redis.call('HLEN', drops_key) + 1, terms = terms, before = 0,
    stock = {
      revision = 0, sold_out_at = 0, told_at = 0, owed = 0, awards = 0, chain = redis.sha1hex(drop), waiting = 0,
      joined = 0, backlog = 0, gone_at = 0,
    },
    notes = {}, line = { at = 1, whole = false }, joined = {}, served = 0, stamps = {},
  }
  desk.drops[1], desk.drops[drop] = known, known
end
local stock = known.stock
terms.number = known.number
known.terms, known.changed, known.turned = terms, true, plan.terms ~= nil
desk.numbered[known.number] = known
stock.available, stock.held, stock.quantity = 0, 0, plan.quantity
stock.awards = plan.first > 0 and plan.first - 1 or stock.awards
for _, own in ipairs(plan.lapsed) do
  local hold = desk_hold(desk, own)
  desk_let_go(desk, own, hold, 5)
  hold_tell(desk, own, hold, known)
end
if plan.first > 0 then
  desk_note(known, 'rebuilt', nil, nil, plan.first)
end
for _, sale in ipairs(plan.sales) do
  desk_sell(desk, known, sale)
end
stock.held, stock.sold = plan.held, plan.sold
stock.available = plan.quantity - plan.held - plan.sold
stock.backlog = math.max(0, math.min(stock.backlog, stock.available))
stock.gone_at = stock.available > 0 and 0 or stock.gone_at > 0 and stock.gone_at or desk.now
stock.over = terms.status == 'closed'
-- A draw whose secret is lost is drawn by another one, which nobody knows either.
local drawing = terms.mode == 'draw' and (terms.status == 'open' or terms.status == 'paused')
local promised = drawing and redis.call('HEXISTS', seeds_key, drop) == 0
terms.seed_hash = promised and plan.seed_hash or terms.seed_hash
known.turned = known.turned or promised
known.before = stock.available
desk_close(desk)
redis.call('HSET', numbers_key, known.number, drop)
if promised then
  redis.call('HSET', seeds_key, drop, plan.seed)
end
local waiting = terms.status == 'scheduled' or terms.status == 'countdown'
if waiting and terms.opens_at then
  redis.call('ZADD', due_key, terms.opens_at, 'open ' .. drop)
end
if terms.status ~= 'closed' and terms.closes_at then
  redis.call('ZADD', due_key, terms.closes_at, 'close ' .. drop)
end
for _, wave in ipairs(terms.status ~= 'closed' and terms.opened_at and terms.waves or {}) do
  if not wave.released_at and wave.at then
    redis.call('ZADD', due_key, wave.at, 'wave ' .. drop)
    break
  end
end
return answer('rebuilt', { available = stock.available, held = stock.held, sold = stock.sold, owed = desk.owed })
