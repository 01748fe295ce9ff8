-- How many units of a drop a network address may still have, what this step gave it counted; no end where the drop
-- does not limit that or the address is not known.
local function address_room(desk, drop, address)
  local limit = drop.terms.limit_per_address
  if not limit or not address then
    return math.huge
  end
  local counted = drop.number .. ' ' .. address
  local known = tonumber(redis.call('HGET', desk.keys.addresses, counted) or '0')
  return limit - known - (desk.addresses[counted] or 0)
end
