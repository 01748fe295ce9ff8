-- purpose: put the show's drops into the order in which its hosts mean to bring them, replacing the one before
-- returns: outcome moved; not-found, with the drop where that is what is missing; wrong-state where the show has ended
-- events: show.arranged
--- @include "answer"
--- @include "log_append"
--- @include "now_ms"
local show_key = KEYS[1]  -- hash  status, offset, run
local drops_key = KEYS[2]  -- hash  drop -> terms
local log_key = KEYS[3]  -- stream  the show's events
local live_key = KEYS[4]  -- channel  events and live numbers
local drops = cmsgpack.unpack(ARGV[1])  -- list  drops, none twice

local state = redis.call('HGET', show_key, 'status')
if not state then
  return answer('not-found')
end
if state == 'ended' then
  return answer('wrong-state', { state = state })
end
for _, drop in ipairs(drops) do
  if redis.call('HEXISTS', drops_key, drop) == 0 then
    return answer('not-found', { drop = drop })
  end
end
redis.call('HSET', show_key, 'run', cmsgpack.pack(drops))
log_append(show_key, log_key, live_key, now_ms(), { type = 'show.arranged', drops = drops })
return answer('moved')
