--- @include "desk_hold"
-- The id of the reservation that a place in a queue becomes: the one it has had in mind, with a number behind it where
-- the place was served before, or where its viewer gave the same operation's id to something else as well.
local function queue_own(desk, place)
  local own = place.own .. (place.times > 0 and string.format('%x', place.times) or '')
  while desk_hold(desk, own) do
    place.times = place.times + 1
    own = place.own .. string.format('%x', place.times)
  end
  return own
end
