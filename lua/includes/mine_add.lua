-- Remember a reservation as its viewer's newest. Beyond 32 the oldest finished ones are forgotten here (their
-- records stay): a snapshot is bounded, and a reservation that is still alive is never dropped from it.
local function mine_add(mine_key, holds_key, viewer, reservation)
  local raw = redis.call('HGET', mine_key, viewer)
  local mine = raw and cmsgpack.unpack(raw) or {}
  mine[#mine + 1] = reservation
  local surplus = #mine - 32
  if surplus > 0 then
    local kept = {}
    for _, known in ipairs(mine) do
      local hold = redis.call('HGET', holds_key, known)
      local state = hold and cmsgpack.unpack(hold)[4]
      local finished = state == 'released' or state == 'expired'
      if surplus > 0 and finished then
        surplus = surplus - 1
      else
        kept[#kept + 1] = known
      end
    end
    mine = kept
  end
  redis.call('HSET', mine_key, viewer, cmsgpack.pack(mine))
end
