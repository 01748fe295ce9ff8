-- A drop as the contract shows it: its terms with its numbers beside them. Its number and who released a wave are
-- nobody's business; a queue that is over has nobody in it.
local function drop_view(terms, stock)
  local view = {}
  for name, value in pairs(terms) do
    view[name] = value
  end
  view.number = nil
  for _, name in ipairs({ 'available', 'held', 'sold', 'quantity', 'revision' }) do
    view[name] = stock[name]
  end
  view.available = math.max(0, stock.available)
  view.waitlist_length = terms.status == 'closed' and 0 or stock.waiting
  if terms.waves then
    view.waves = {}
    for i, wave in ipairs(terms.waves) do
      view.waves[i] = {
        quantity = wave.quantity, at = wave.at, after_seconds = wave.after_seconds, released_at = wave.released_at,
      }
    end
  end
  return view
end
