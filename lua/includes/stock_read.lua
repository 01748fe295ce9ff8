-- The numbers of a drop: available + held + sold == quantity; the revision grows with every change.
-- Beside them: when the log last said that it is sold out, when the numbers were last told and whether a change is
-- still to be told, how many awards there were and the head of their chain, how many wait and how many ever joined,
-- how many units are kept for them, and since when nothing is available (all times ms, 0: never).
local function stock_read(stock_key, drop)
  local row = cmsgpack.unpack(redis.call('HGET', stock_key, drop))
  return {
    available = row[1], held = row[2], sold = row[3], quantity = row[4], revision = row[5], sold_out_at = row[6],
    told_at = row[7], owed = row[8], awards = row[9], chain = row[10], waiting = row[11], joined = row[12],
    backlog = row[13], gone_at = row[14],
  }
end
