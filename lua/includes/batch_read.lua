-- Put what was read for the operation at `i` of a batch on the desk, unless an operation before it did.
local function batch_read(desk, own, viewer, i)
  if desk.holds[own] == nil then
    desk.holds[own] = desk.known[i]
  end
  if desk.mine[viewer] == nil then
    desk.mine[viewer] = desk.listed[i]
  end
end
