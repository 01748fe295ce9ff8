-- A hold's record: short, because there are many. What is usual stands at the end and is left out.
local function hold_pack(hold)
  local row = {
    hold.number, hold.viewer, hold.quantity, hold.state, hold.unit_price, hold.expires_at, hold.rank,
  }
  if hold.order ~= nil or hold.address then
    row[8] = hold.order or ''
    row[9] = hold.deadline or 0
    row[10] = hold.address
  end
  return cmsgpack.pack(row)
end
