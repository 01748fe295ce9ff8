-- purpose: hand a batch of arrivals to whoever records the show
-- returns: outcome told
-- events: none
--- @include "answer"
local tape_key = KEYS[1]  -- stream  batches
local batch = ARGV[1]  -- string  packed by the caller
local most = tonumber(ARGV[2])  -- integer  batches that are kept; the oldest go
local keep_ms = tonumber(ARGV[3])  -- integer  for how long, should nobody fetch them

redis.call('XADD', tape_key, 'MAXLEN', most, '*', 'b', batch)
redis.call('PEXPIRE', tape_key, keep_ms)
return answer('told')
