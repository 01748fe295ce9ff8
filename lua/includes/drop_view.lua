-- A drop as the contract shows it: its terms with its four numbers beside them.
local function drop_view(terms, stock)
  local view = {}
  for name, value in pairs(terms) do
    view[name] = value
  end
  for _, name in ipairs({ 'available', 'held', 'sold', 'quantity', 'revision' }) do
    view[name] = stock[name]
  end
  view.waitlist_length = 0
  return view
end
