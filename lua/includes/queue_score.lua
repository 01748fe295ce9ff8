-- Where a place stands in the index of all queues: by drop, and there by when they came; in a draw by what the
-- secret seed makes of the entry, so that the order is fixed as soon as the entry is there and nobody knows it.
-- Two entries that fall on one number stand in the order in which they came: the later one takes the next free, and
-- who leaves frees theirs. `desk.scores` has what this step took (true) and freed (false).
local function queue_score(desk, drop, place)
  local base = drop.number * 2 ^ 40
  if drop.terms.mode ~= 'draw' then
    return base + place.nth
  end
  local seed = redis.call('HGET', desk.keys.seeds, drop.id)
  local score = base + tonumber(redis.sha1hex(seed .. place.own):sub(1, 10), 16)
  local scores, waitlist = desk.scores, desk.keys.waitlist
  while scores[score] or scores[score] == nil and redis.call('ZCOUNT', waitlist, score, score) > 0 do
    score = score + 1
  end
  scores[score] = true
  return score
end
