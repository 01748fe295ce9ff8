-- purpose: store the first answer of a request with a key, or free the key where nothing was decided
-- returns: outcome stored | freed
-- events: none
--- @include "answer"
local idempotency_key = KEYS[1]  -- hash  fingerprint, status, body
local fingerprint = ARGV[1]  -- string  digest of the request's body
local status = ARGV[2]  -- string  HTTP status, 0: free the key
local body = ARGV[3]  -- string  the answer's body
local keep_ms = tonumber(ARGV[4])  -- integer  how long the answer is replayed

if status == '0' then
  redis.call('DEL', idempotency_key)
  return answer('freed')
end
redis.call('HSET', idempotency_key, 'fingerprint', fingerprint, 'status', status, 'body', body)
redis.call('PEXPIRE', idempotency_key, keep_ms)
return answer('stored')
