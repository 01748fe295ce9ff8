-- Write a drop's notes into the award log in the order in which it happened, and chain them: each head is the SHA-1 of
-- the head before it and of the note, so a note that is changed, left out or moved later shows.
local function award_log(desk, drop)
  for _, note in ipairs(drop.notes) do
    local packed = cmsgpack.pack({ note.kind, drop.number, desk.now, note.first, note.list, note.units })
    drop.stock.chain = redis.sha1hex(drop.stock.chain .. packed)
    redis.call('XADD', desk.keys.awards, '*', 'n', packed)
  end
end
