-- purpose: refuse a subject's tokens that were issued up to a moment, and tell every process
-- returns: outcome revoked with the moment, ms; early with now where it is yet to come; or limit-reached with the limit
-- events: what is revoked, on a channel of its own: {moment, members}
--- @include "answer"
--- @include "now_ms"
local revoked_key = KEYS[1]  -- zset  '<reach> <show> <subject>' by the moment, ms
local revocations_key = KEYS[2]  -- channel  what is revoked
local members = cmsgpack.unpack(ARGV[1])  -- list  '<reach> <show> <subject>' of each show
local before = tonumber(ARGV[2])  -- integer  the moment, Unix ms; 0: now
local life_ms = tonumber(ARGV[3])  -- integer  the longest life of a token
local most = tonumber(ARGV[4])  -- integer  members that may be kept

local now = now_ms()
if before > now then
  return answer('early', { now = now })
end
if before == 0 then
  before = now
end
-- What was issued before this has ended by now, whoever revoked it.
local gone = now - life_ms
local kept = redis.call('ZCOUNT', revoked_key, gone, '+inf')
for _, member in ipairs(members) do
  local known = redis.call('ZSCORE', revoked_key, member)
  if not known or tonumber(known) < gone then
    kept = kept + 1
  end
end
if kept > most then
  return answer('limit-reached', { limit = most })
end

redis.call('ZREMRANGEBYSCORE', revoked_key, '-inf', string.format('(%.0f', gone))
for _, member in ipairs(members) do
  redis.call('ZADD', revoked_key, 'GT', before, member)
end
redis.call('PEXPIRE', revoked_key, life_ms)
redis.call('SPUBLISH', revocations_key, cmsgpack.pack({ before, members }))
return answer('revoked', { before = before })
