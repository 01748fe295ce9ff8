--- @include "queue_record"
-- The place in a drop's queue whose turn it is, or nil: the first that is still there and whose viewer is here. Who
-- joined in this step comes last. Everybody counts as here where the desk does not pass over the absent, and so does
-- who entered a draw: its outcome does not depend on what only the server sees.
-- The queue is read piece by piece, as far as a step needs it and 1024 places deep: who waits behind so many that are
-- not here is not looked for.
local function queue_next(desk, drop)
  local keys, line, base = desk.keys, drop.line, drop.number * 2 ^ 40
  while true do
    local place = line[line.at] or line.whole and drop.joined[line.at - #line]
    if place and place.here and desk.places[place.name] == place then
      return place
    elseif place then
      line.at = line.at + 1
    elseif line.whole or #line >= 1024 then
      return nil
    else
      local names = redis.call('ZRANGEBYSCORE', keys.waitlist, base, base + 2 ^ 40 - 1, 'LIMIT', #line, 32)
      local records, viewers = #names > 0 and redis.call('HMGET', keys.waiting, unpack(names)), {}
      for i, name in ipairs(names) do
        viewers[i] = name:sub(#tostring(drop.number) + 2)
      end
      local skip = desk.skip and #names > 0 and drop.terms.mode ~= 'draw'
      local here = skip and redis.call('HMGET', keys.viewers, unpack(viewers)) or viewers
      for i, viewer in ipairs(viewers) do
        local known = queue_record(desk, drop, viewer, records[i])
        line[#line + 1] = known and not known.score and known or {}
        line[#line].here = here[i] ~= false
      end
      line.whole = #names < 32
    end
  end
end
