#!lua flags=allow-oom
-- purpose: store the first answer of a request with a key, or free the key where nothing was decided
-- returns: outcome stored | freed | elsewhere where the key has passed to a later run
-- events: none
--- @include "answer"
local idempotency_key = KEYS[1]  -- hash  fingerprint, run, status, body
local fingerprint = ARGV[1]  -- string  digest of the request's body
local run = ARGV[2]  -- string  the run that has ended
local status = ARGV[3]  -- string  HTTP status, 0: free the key
local body = ARGV[4]  -- string  the answer's body, sealed
local keep_ms = tonumber(ARGV[5])  -- integer  how long the answer is replayed

local holder = redis.call('HGET', idempotency_key, 'run')
if holder and holder ~= run then
  return answer('elsewhere')
end
if status == '0' then
  redis.call('DEL', idempotency_key)
  return answer('freed')
end
redis.call('HSET', idempotency_key, 'fingerprint', fingerprint, 'run', run, 'status', status, 'body', body)
redis.call('PEXPIRE', idempotency_key, keep_ms)
return answer('stored')
