--- @include "desk_drop"
--- @include "desk_leave"
--- @include "desk_promote"
-- Let a viewer give up the place in a drop's queue, or the entry into its draw; repeating changes nothing more.
local function batch_leave(desk, ask)
  local drop = desk_drop(desk, ask.drop)
  if not drop then
    return { 'not-found' }
  elseif drop.terms.mode == 'draw' and drop.terms.status == 'closed' then
    return { 'drop-closed' }
  elseif desk.status == 'frozen' then
    return { 'show-not-live', desk.status }
  end
  if desk_leave(desk, drop, ask.viewer) then
    desk_promote(desk, drop)
  end
  return { 'waiting', 0 }
end
