--- @include "now_ms"
-- The desk: what a script reads of a show's inventory, changed in memory and written once, by `desk_close`. So a
-- script that refuses half-way has written nothing, and a batch costs one write per kind of record.
-- A show that is frozen while its stock is rebuilt has that as its `status`: nothing is sold, given or let go.
-- `keys` names the show's keys, `skip` says whether the queue passes over who is not here; nil: it is not served.
-- What waits to be written: `fresh` holds and `owners` whose list of own reservations changed, by name and perhaps
-- more than once, `lapses` reservations by deadline, `joins` and `leaves` of queues, how often draws were `left`, units
-- by `addresses`, figures, `events`, planned moves that are `undue`, and private messages `told` to viewers.
local function desk_open(keys, skip)
  local show = redis.call('HMGET', keys.show, 'status', 'limit_per_viewer', 'frozen')
  return {
    keys = keys, now = now_ms(), status = show[3] and 'frozen' or show[1],
    limit = tonumber(show[2]) or math.huge, skip = skip,
    prefix = 'rs_' .. keys.show:match('{sh_([^}]*)}') .. '_',
    drops = {}, numbered = {}, holds = {}, mine = {},
    fresh = {}, owners = {}, lapses = {}, joins = {}, leaves = {}, places = {}, left = {},
    addresses = {}, told = {}, scores = {},
    events = {}, undue = {}, unmet = 0, owed = {},
  }
end
