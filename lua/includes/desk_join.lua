--- @include "desk_forget"
--- @include "desk_keep"
--- @include "desk_note"
--- @include "queue_record"
--- @include "queue_score"
-- Put a viewer into a drop's queue, or change how many units they ask for; their place stays, and an entry into a
-- draw stays as it is. A repeat of what made the place changes nothing. Return the place.
local function desk_join(desk, drop, viewer, own, quantity, address)
  local stock = drop.stock
  local place = queue_record(desk, drop, viewer)
  if place and (place.own == own or place.quantity == quantity or drop.terms.mode == 'draw') then
    return place
  end
  drop.changed = true
  if place then
    desk_forget(desk, viewer, -drop.number, place.own)
    place.quantity = quantity
  else
    stock.waiting = stock.waiting + 1
    stock.joined = stock.joined + 1
    place = {
      name = drop.number .. ' ' .. viewer, viewer = viewer, own = own, quantity = quantity, joined_at = desk.now,
      times = 0, address = address, nth = stock.joined, here = true,
    }
    place.score = queue_score(desk, drop, place)
    desk.places[place.name] = place
    drop.joined[#drop.joined + 1] = place
    if drop.terms.mode == 'draw' then
      desk_note(drop, 'entered', own, quantity, stock.joined)
    end
  end
  desk_keep(desk, viewer, -drop.number, quantity, place.own)
  desk.joins[place.name] = place
  desk.leaves[place.name] = nil
  return place
end
