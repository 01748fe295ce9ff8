-- Let a reservation be looked at when a time has come. Those of one step with the same time share one entry.
local function desk_lapse(desk, at, own)
  local lapses = desk.lapses[at] or {}
  desk.lapses[at] = lapses
  lapses[#lapses + 1] = own
end
