-- The numbers of a drop: available + held + sold == quantity; the revision grows with every change.
local function stock_read(stock_key, drop)
  local row = cmsgpack.unpack(redis.call('HGET', stock_key, drop))
  return {
    available = row[1], held = row[2], sold = row[3], quantity = row[4], revision = row[5], sold_out_at = row[6],
  }
end
