-- purpose: add units to a drop that is not closed; who waits for them gets them in the same step
-- returns: outcome moved with the drop; not-found; wrong-state where it is closed, or the show frozen; limit-reached beyond the bound
-- events: drop.restocked; the live stock; promotions to their viewers
--- @include "answer"
--- @include "desk_close"
--- @include "desk_drop"
--- @include "desk_open"
--- @include "desk_restock"
--- @include "drop_view"
--- @keys "desk_keys"
local restocks_key = KEYS[19]  -- hash  drop and operation -> units added
local drop = ARGV[1]  -- string  which drop
local quantity = tonumber(ARGV[2])  -- integer  units to add, at least 1
local most = tonumber(ARGV[3])  -- integer  units a drop may have
local operation = ARGV[4]  -- string  the caller's own id of this restock, empty: none
local skip = tonumber(ARGV[5])  -- integer  1 where the queue passes over who is not here, else 0

local desk = desk_open(desk_keys, skip == 1)
-- A caller's ids are unique per drop only: the same one on another drop is another restock.
local applied = drop .. ' ' .. operation
local known = desk_drop(desk, drop)
if not known then
  return answer('not-found')
end
if desk.status == 'frozen' then
  return answer('wrong-state', { state = desk.status })
end
if operation ~= '' and redis.call('HEXISTS', restocks_key, applied) == 1 then
  return answer('moved', { drop = drop_view(known.terms, known.stock) })
end
if known.terms.status == 'closed' then
  return answer('wrong-state', { state = known.terms.status })
end
local planned = known.stock.quantity
for _, wave in ipairs(known.terms.waves or {}) do
  planned = planned + (wave.released_at and 0 or wave.quantity)
end
if planned + quantity > most then
  return answer('limit-reached', { limit = most, quantity = planned })
end
desk_restock(desk, known, quantity)
desk_close(desk)
if operation ~= '' then
  redis.call('HSET', restocks_key, applied, quantity)
end
return answer('moved', { drop = drop_view(known.terms, known.stock), owed = desk.owed })
