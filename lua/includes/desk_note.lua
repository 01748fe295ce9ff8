-- Note for the award log what happened to a reservation: awarded, or its entry into a draw: entered, left. `nth` is its
-- number among those. What follows one another and is of one kind stands in one note.
local function desk_note(drop, kind, own, quantity, nth)
  local notes = drop.notes
  local note = notes[#notes]
  if not note or note.kind ~= kind then
    note = { kind = kind, first = nth, list = {}, units = {} }
    notes[#notes + 1] = note
  end
  note.list[#note.list + 1] = own
  note.units[#note.units + 1] = quantity
end
