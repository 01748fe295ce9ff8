-- A viewer's place in a drop's queue, or nil: the id that their reservation will have, units, since when, how often
-- they were served in part, their address, and their number among all who ever joined. `record` where it was read.
local function queue_record(desk, drop, viewer, record)
  local name = drop.number .. ' ' .. viewer
  local place = desk.places[name]
  if place == nil then
    record = record or redis.call('HGET', desk.keys.waiting, name)
    local row = record and cmsgpack.unpack(record)
    place = row and {
      name = name, viewer = viewer, own = row[1], quantity = row[2], joined_at = row[3], times = row[4],
      address = row[5] or nil, nth = row[6],
    } or false
    desk.places[name] = place
  end
  return place or nil
end
