--- @include "desk_hold"
--- @include "desk_let_go"
--- @include "desk_numbered"
--- @include "desk_promote"
--- @include "hold_tell"
--- @include "hold_view"
-- Let a viewer give a held reservation back; the units go on to who waits at once, so nobody who comes later in the
-- same step passes them. Repeating changes nothing more.
local function batch_release(desk, ask)
  local hold = desk_hold(desk, ask.own)
  if not hold then
    return { 'not-found' }
  elseif hold.viewer ~= ask.viewer then
    return { 'not-allowed' }
  elseif hold.state == 2 then
    return { 'in-progress' }
  elseif hold.state == 3 then
    return { 'wrong-state', 'sold' }
  elseif desk.status == 'frozen' then
    return { 'show-not-live', desk.status }
  end
  local drop = desk_numbered(desk, hold.number)
  if hold.state == 1 then
    desk_let_go(desk, ask.own, hold, 4)
    hold_tell(desk, ask.own, hold, drop)
    desk_promote(desk, drop)
  end
  return { 'released', hold_view(desk, ask.own, hold, drop) }
end
