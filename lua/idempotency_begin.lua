-- purpose: let one request with a key run, and know its repeats
-- returns: outcome new | running | mismatch | stored with status and body of the first answer
-- events: none
--- @include "answer"
local idempotency_key = KEYS[1]  -- hash  fingerprint, run, status, body
local fingerprint = ARGV[1]  -- string  digest of the request's body
local run = ARGV[2]  -- string  the name of this run, should it be the one
local running_ms = tonumber(ARGV[3])  -- integer  how long a run that never answers blocks its key

local known = redis.call('HMGET', idempotency_key, 'fingerprint', 'status', 'body')
if not known[1] then
  redis.call('HSET', idempotency_key, 'fingerprint', fingerprint, 'run', run)
  redis.call('PEXPIRE', idempotency_key, running_ms)
  return answer('new')
end
if known[1] ~= fingerprint then
  return answer('mismatch')
end
if not known[2] then
  return answer('running', { retry_after_ms = redis.call('PTTL', idempotency_key) })
end
return answer('stored', { status = tonumber(known[2]), body = known[3] })
