--- @include "batch_join"
--- @include "batch_leave"
--- @include "batch_read"
--- @include "batch_release"
--- @include "batch_take"
-- Carry out the operation that begins at `i` of the batch and has `size` parts, and put the outcome of each part into
-- `out`; those who have a place in a queue since then go into `places`.
local function batch_one(desk, batch, i, size, out, places)
  local verb, asks = batch.verbs[i], {}
  for n = 1, size do
    local at = i + n - 1
    local own, viewer = batch.ids[at], batch.viewers[at]
    batch_read(desk, own, viewer, at)
    asks[n] = {
      own = own, viewer = viewer, drop = batch.drops[batch.which[at]],
      quantity = batch.quantities[at], mode = verb == 'claim' and 'first_paid' or 'fifo', part = verb == 'part',
      claim_ms = verb == 'claim' and batch.claim_ms or nil, address = batch.addresses[at] or nil, most = batch.most,
    }
  end
  local outcomes
  if verb == 'release' then
    outcomes = { batch_release(desk, asks[1]) }
  elseif verb == 'join' then
    outcomes = { batch_join(desk, asks[1]) }
  elseif verb == 'leave' then
    outcomes = { batch_leave(desk, asks[1]) }
  else
    outcomes = batch_take(desk, asks)
  end
  for n = 1, size do
    local outcome = outcomes[n] or false
    if outcome and outcome.place then
      local apart = batch.apart[i + n - 1]
      places[#places + 1] = { outcome = outcome, place = outcome.place, drop = asks[n].drop, apart = apart }
      outcome.place = nil
    end
    out[i + n - 1] = outcome
  end
end
