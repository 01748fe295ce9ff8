-- How many units of a drop a newcomer may have: none while some are kept for who waits, or while
-- units are owed (available below zero: more were sold than there are, which only a rebuild can find).
local function desk_free(drop)
  return drop.stock.backlog > 0 and 0 or math.max(0, drop.stock.available)
end
