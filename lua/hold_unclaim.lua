#!lua flags=allow-oom
-- purpose: undo an order's claim: its reservations are held again until their old deadline, or let go where it is over
-- returns: outcome unclaimed, also where the order is already gone | elsewhere where it can no longer be undone |
--   frozen while the stock is rebuilt
-- events: each reservation and the order to its viewer's sockets; the live stock and promotions where units came back
--- @include "answer"
--- @include "desk_close"
--- @include "desk_hold"
--- @include "desk_lapse"
--- @include "desk_let_go"
--- @include "desk_numbered"
--- @include "desk_open"
--- @include "hold_tell"
--- @include "lapse_log"
--- @keys "desk_keys"
local orders_key = KEYS[19]  -- hash  order -> unfinished checkout
local pending_key = KEYS[20]  -- zset  order by the end of its lease
local lapsed_key = KEYS[21]  -- stream  what lapsed and the ledger does not have yet
local order = ARGV[1]  -- string  the order that will not be
local skip = tonumber(ARGV[2])  -- integer  1 where the queue passes over who is not here, else 0
local view = cmsgpack.unpack(ARGV[3])  -- map  the order as the contract shows it; empty where nobody heard of it

local raw = redis.call('HGET', orders_key, order)
if not raw then
  return answer('unclaimed')
end
local record = cmsgpack.unpack(raw)
if record.step == 'undone' then
  return answer('unclaimed')
elseif record.step ~= 'claimed' and record.step ~= 'undoing' then
  return answer('elsewhere', { step = record.step })
end
local desk = desk_open(desk_keys, skip == 1)
if desk.status == 'frozen' then
  return answer('frozen', { step = record.step })
end
local lapsed = {}
for _, line in ipairs(record.lines) do
  local own = line.reservation:sub(#desk.prefix + 1)
  local hold = desk_hold(desk, own)
  if hold and hold.state == 2 and hold.order == order then
    local drop = desk_numbered(desk, hold.number)
    -- Nothing is held in a drop where the first who pays gets it.
    if hold.expires_at > desk.now and drop.terms.mode ~= 'first_paid' then
      hold.state, hold.order, hold.deadline = 1, nil, nil
      desk.fresh[#desk.fresh + 1] = own
      desk_lapse(desk, hold.expires_at, own)
    else
      desk_let_go(desk, own, hold, 5)
      lapsed[#lapsed + 1] = own
    end
    hold_tell(desk, own, hold, drop)
  end
end
if next(view) then
  desk.told[#desk.told + 1] = { record.viewer, { type = 'order.updated', order = view } }
end
desk_close(desk)
lapse_log(lapsed_key, desk, lapsed)
-- An order that the ledger has as cancelled stays so: a repeat of its id, whenever it comes, makes no other of it.
if record.step == 'undoing' then
  redis.call('HSET', orders_key, order, cmsgpack.pack({
    id = order, viewer = record.viewer, step = 'undone', reason = record.reason, lines = {},
  }))
else
  redis.call('HDEL', orders_key, order)
end
redis.call('ZREM', pending_key, order)
return answer('unclaimed', { owed = desk.owed })
