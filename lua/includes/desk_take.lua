--- @include "desk_address"
--- @include "desk_keep"
--- @include "desk_lapse"
--- @include "desk_note"
--- @include "desk_stamp"
-- Award units of a drop to a viewer: a hold until `expires_at`. The caller has checked that they may have them. Most
-- holds of a step are not looked at again in it, so a hold is put on the desk as its record (`hold_pack`), put
-- together from a stamp and without a table; `desk_hold` reads it.
local function desk_take(desk, drop, own, viewer, quantity, expires_at, address)
  local stock, fresh = drop.stock, desk.fresh
  local rank, stamp = stock.awards + 1, desk_stamp(drop, quantity, expires_at)
  stock.available = stock.available - quantity
  stock.held = stock.held + quantity
  stock.awards = rank
  drop.changed = true
  desk_note(drop, 'awarded', own, quantity, rank)
  local record = stamp.number .. cmsgpack.pack(viewer) .. stamp.terms .. cmsgpack.pack(rank)
  if address then
    record = '\154' .. record .. cmsgpack.pack('', 0, address)
    desk_address(desk, drop.number, address, quantity)
  else
    record = '\151' .. record
  end
  desk.holds[own] = record
  fresh[#fresh + 1] = own
  desk_keep(desk, viewer, drop.number, quantity, own, stamp.mine)
  desk_lapse(desk, expires_at, own)
  return rank
end
