--- @include "hold_view"
-- Tell the viewer on all their sockets, once the step is written, what became of their reservation.
local function hold_tell(desk, own, hold, drop, promoted)
  local told = desk.told
  local view = hold_view(desk, own, hold, drop)
  told[#told + 1] = { hold.viewer, { type = 'reservation', reservation = view, replayed = false } }
  if promoted then
    told[#told + 1] = { hold.viewer, { type = 'waitlist.promoted', drop = drop.id, reservation = view } }
  end
end
