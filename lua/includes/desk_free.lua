-- How many units of a drop a newcomer may have: none while some are kept for who waits.
local function desk_free(drop)
  return drop.stock.backlog > 0 and 0 or drop.stock.available
end
