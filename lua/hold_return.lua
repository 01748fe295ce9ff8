#!lua flags=allow-oom
-- purpose: put sold units of an order that was paid back on sale again; who waits for them gets them in the same step
-- returns: outcome returned with the units that came back now (0 on a repeat) | gone where the show is |
--   frozen while the stock is rebuilt: nothing came back then
-- events: each reservation to its viewer's sockets; the live stock; promotions to their viewers
--- @include "answer"
--- @include "desk_address"
--- @include "desk_close"
--- @include "desk_finish"
--- @include "desk_hold"
--- @include "desk_mine"
--- @include "desk_numbered"
--- @include "desk_open"
--- @include "hold_tell"
--- @keys "desk_keys"
local returned = cmsgpack.unpack(ARGV[1])  -- list  [reservation, units of it that came back so far, this time included]
local order = ARGV[2]  -- string  whose reservations they are
local skip = tonumber(ARGV[3])  -- integer  1 where the queue passes over who is not here, else 0

if redis.call('EXISTS', show_key) == 0 then
  return answer('gone')
end
local desk = desk_open(desk_keys, skip == 1)
if desk.status == 'frozen' then
  return answer('frozen')
end
local units = 0
for _, each in ipairs(returned) do
  local own = each[1]:sub(#desk.prefix + 1)
  local hold = desk_hold(desk, own)
  -- What came back so far stands in the hold: units that are said twice, or too late, come back once.
  local back = hold and hold.state == 3 and hold.order == order
    and math.min(each[2], hold.quantity) - (hold.returned or 0) or 0
  if back > 0 then
    local drop = desk_numbered(desk, hold.number)
    drop.stock.sold = drop.stock.sold - back
    drop.stock.available = drop.stock.available + back
    drop.changed = true
    desk_address(desk, hold.number, hold.address, -back)
    hold.returned = (hold.returned or 0) + back
    units = units + back
    if hold.returned == hold.quantity then
      -- The order stays with it: whoever asks again to pay is told what became of that.
      hold.state, hold.returned, hold.address = 4, nil, nil
      desk_finish(desk, hold.viewer, own)
    else
      local mine = desk_mine(desk, hold.viewer)
      for i = 1, #mine, 3 do
        mine[i + 1] = mine[i] > 0 and mine[i + 2] == own and mine[i + 1] - back or mine[i + 1]
      end
      desk.owners[#desk.owners + 1] = hold.viewer
    end
    desk.fresh[#desk.fresh + 1] = own
    hold_tell(desk, own, hold, drop)
  end
end
desk_close(desk)
return answer('returned', { units = units, owed = desk.owed })
