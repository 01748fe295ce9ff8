--- @include "desk_hold"
--- @include "desk_numbered"
--- @include "hold_view"
-- Keep what lapsed in a step until the ledger has it, as one note. Bounded: should nothing record for so long that a
-- thousand steps wait, the oldest are forgotten.
local function lapse_log(lapsed_key, desk, lapsed)
  local views = {}
  for place, own in ipairs(lapsed) do
    local hold = desk_hold(desk, own)
    views[place] = { hold.viewer, hold_view(desk, own, hold, desk_numbered(desk, hold.number)) }
  end
  if #views > 0 then
    redis.call('XADD', lapsed_key, 'MAXLEN', '~', 1000, '*', 'n', cmsgpack.pack({ desk.now, views }))
  end
end
