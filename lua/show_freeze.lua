#!lua flags=allow-oom
-- purpose: halt everything that is sold in a show whose data may be older than the ledger, until its stock is rebuilt;
--   a show that is lost is made again from what the ledger knows of it
-- returns: outcome frozen with the show, its offset, and how far its data had `reached` at its first freeze; not-found
--   where nobody knows of it; elsewhere where the log has another epoch than the caller saw
-- events: show.paused where it was live
--- @include "answer"
--- @include "log_append"
--- @include "now_ms"
--- @include "show_view"
local show_key = KEYS[1]  -- hash  the show
local log_key = KEYS[2]  -- stream  the show's events
local live_key = KEYS[3]  -- channel  events and live numbers
local known = cmsgpack.unpack(ARGV[1])  -- map  the fields of its hash as the ledger has them, empty: unknown there
local upto = tonumber(ARGV[2])  -- integer  the event of the log that they show: newer than the store's own, or not
local seen = ARGV[3]  -- string  the epoch that the caller saw, empty: whichever it is
local epoch = ARGV[4]  -- string  the name of the log's new life
local least = tonumber(ARGV[5])  -- integer  the last offset that anybody has seen: the new life goes on above it

assert(tonumber(known.log_length or 0) >= 0, 'a log of no event or more is expected')
local state = redis.call('HMGET', show_key, 'status', 'epoch', 'offset', 'frozen')
if not state[1] and not known.status then
  return answer('not-found')
end
if seen ~= '' and state[2] ~= seen then
  return answer('elsewhere')
end
local now = now_ms()
local offset = tonumber(state[3] or '0')
local reached = tonumber(state[4] or offset)
local newer = known.status and (not state[1] or upto > reached)
local status = newer and known.status or state[1]
if newer then
  for name, value in pairs(known) do
    redis.call('HSET', show_key, name, type(value) == 'number' and string.format('%.0f', value) or value)
  end
end
-- What stands in the log of a show that lags behind is older than what the new life begins with.
if least > offset then
  redis.call('DEL', log_key)
  offset = least
end
redis.call('HSET', show_key, 'frozen', string.format('%.0f', reached), 'epoch', epoch,
  'offset', string.format('%.0f', offset), 'status', status == 'live' and 'paused' or status)
if status == 'live' then
  log_append(show_key, log_key, live_key, now, { type = 'show.paused' })
  offset = offset + 1
end
return answer('frozen', { show = show_view(show_key), offset = offset, reached = reached })
