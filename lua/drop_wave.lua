-- purpose: release the next wave of a drop's units, by the host, or by the clock when its time has come
-- returns: outcome moved with the drop; not-found; wrong-state where it is not open or paused, or no wave is left;
--   early where the clock came too soon
-- events: drop.restocked with the number of the wave; the live stock; promotions to their viewers
--- @include "answer"
--- @include "desk_close"
--- @include "desk_drop"
--- @include "desk_open"
--- @include "desk_restock"
--- @include "drop_view"
--- @keys "desk_keys"
local drop = ARGV[1]  -- string  which drop
local by = ARGV[2]  -- string  host | clock
local operation = ARGV[3]  -- string  the caller's own id of this release, empty: none
local skip = tonumber(ARGV[4])  -- integer  1 where the queue passes over who is not here, else 0

local desk = desk_open(desk_keys, skip == 1)
local known = desk_drop(desk, drop)
if not known then
  return answer('not-found')
end
if desk.status == 'frozen' then
  return answer('wrong-state', { state = desk.status })
end
local terms, next_wave = known.terms, nil
for i, wave in ipairs(terms.waves or {}) do
  if operation ~= '' and wave.operation == operation then
    return answer('moved', { drop = drop_view(terms, known.stock) })
  end
  if not wave.released_at and not next_wave then
    next_wave = i
  end
end
local running = terms.status == 'open' or terms.status == 'paused'
if not running or not next_wave then
  redis.call('ZREM', due_key, 'wave ' .. drop)
  return answer('wrong-state', { state = terms.status, waves = terms.waves and #terms.waves or 0 })
end
local wave, following = terms.waves[next_wave], terms.waves[next_wave + 1]
if by == 'clock' and (not wave.at or wave.at > desk.now) then
  return answer('early')
end
wave.released_at = desk.now
wave.operation = operation ~= '' and operation or nil
known.turned = true
desk_restock(desk, known, wave.quantity, next_wave)
desk_close(desk)
redis.call('ZREM', due_key, 'wave ' .. drop)
if following and following.at then
  redis.call('ZADD', due_key, following.at, 'wave ' .. drop)
end
return answer('moved', { drop = drop_view(terms, known.stock), owed = desk.owed })
