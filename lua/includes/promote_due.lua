-- Where units and people wait for each other, let a worker bring them together: at once where one step was too short,
-- in a second where those who wait were not here.
local function promote_due(desk, drop)
  local stock, drawn = drop.stock, drop.terms.mode == 'draw'
  local serving = desk.status ~= 'frozen' and drawn or drop.terms.status == 'open' and desk.status == 'live'
  local apart = not drawn and stock.available > 0 and stock.waiting > 0
  if serving and (stock.backlog > 0 or apart) then
    redis.call('ZADD', desk.keys.due, desk.now + (stock.backlog > 0 and 0 or 1000), 'promote ' .. drop.id)
  end
end
