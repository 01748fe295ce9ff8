-- Whether a drop's changed numbers are told now: not where they were within 100 ms. Then they are owed, and whoever
-- ran the script sees to it that `stock_flush` comes after it; should that process die, the due index brings a worker.
local function stock_due(desk, drop)
  local stock = drop.stock
  if desk.now - stock.told_at >= 100 then
    stock.told_at, stock.owed = desk.now, 0
    return true
  end
  if stock.owed == 0 then
    stock.owed = 1
    -- An ended show may have been retired, and its keys must not come back.
    if desk.status ~= 'ended' then
      redis.call('ZADD', desk.keys.due, desk.now + 150, 'flush ' .. drop.id)
    end
  end
  desk.owed[#desk.owed + 1] = drop.id
  return false
end
