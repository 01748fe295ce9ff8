#!lua
-- purpose: carry out what viewers ask of a show's inventory, in the order in which they came: take, give back, queue
-- returns: now; drops: what a caller must know of each named drop; out: for each operation the rank of its award where
--   it went the short way, else its outcome and numbers: held, replayed, released, waiting, a refusal's code, and false
--   for a part of a bundle of which there is nothing to say; owed: drops whose numbers are still to be told; spent_us
-- events: drop.sold_out; the live stock, per drop once and at most every 100 ms; reservations and promotions to
--   viewers, and new places to those who did not ask for them on a socket
--- @include "batch_award"
--- @include "batch_one"
--- @include "batch_open"
--- @include "desk_close"
--- @include "desk_count"
--- @include "queue_position"
--- @include "tell_viewer"
--- @keys "desk_keys"
local batch = cmsgpack.unpack(ARGV[1])  -- map  by operation: verbs, ids, viewers, which, quantities; sizes, apart, addresses

-- Older servers have no clock of their work; then the caller keeps to the number of operations alone.
local timed, clock = pcall(function() return os.clock end)
local began = timed and clock() or 0
local desk = batch_open(desk_keys, batch)
local out, places, i = {}, {}, 1
while i <= #batch.ids do
  local verb, size = batch.verbs[i], batch.sizes[i] or 1
  local swift = verb == 'reserve' and size == 1 and not batch.addresses[i]
  local rank = swift and batch_award(desk, batch, i)
  if rank then
    out[i] = rank
  else
    batch_one(desk, batch, i, size, out, places)
  end
  i = i + size
end
desk_close(desk)
for _, joined in ipairs(places) do
  local drop, place, outcome = desk.drops[joined.drop], joined.place, joined.outcome
  local _, _, queued = desk_count(desk, place.viewer, drop.number)
  local position, length = queue_position(desk, drop, place.name), drop.stock.waiting
  outcome[#outcome + 1] = position
  outcome[#outcome + 1] = length
  outcome[#outcome + 1] = queued
  -- Their sockets may be at another process, which tells them of a place's moves once it knows of the place.
  if joined.apart and position > 0 then
    local told = { type = 'waitlist', drop = drop.id, position = position, length = length, quantity = queued }
    tell_viewer(live_key, place.viewer, told)
  end
end
local drops = {}
for n, name in ipairs(batch.drops) do
  local drop = desk.drops[name]
  drops[n] = drop and {
    math.max(0, drop.stock.available), drop.stock.held, drop.stock.revision, drop.stock.gone_at, drop.stock.waiting,
    drop.terms.opened_at or 0, drop.terms.sku, drop.terms.currency, drop.terms.unit_price, drop.terms.hold_seconds,
  } or false
end
local spent_us = timed and math.floor((clock() - began) * 1000000) or 0
return cmsgpack.pack({ now = desk.now, drops = drops, out = out, owed = desk.owed, spent_us = spent_us })
