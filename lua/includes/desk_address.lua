-- Count units of a drop for a network address: `quantity` more, or fewer where it is below zero.
local function desk_address(desk, number, address, quantity)
  if address then
    local counted = number .. ' ' .. address
    desk.addresses[counted] = (desk.addresses[counted] or 0) + quantity
  end
end
