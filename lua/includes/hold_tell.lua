--- @include "hold_view"
--- @include "tell_viewer"
-- Tell the viewer on all their sockets what became of their reservation.
local function hold_tell(live_key, reservation, hold, terms)
  tell_viewer(live_key, hold.viewer, {
    type = 'reservation',
    reservation = hold_view(reservation, hold, terms),
    replayed = false,
  })
end
