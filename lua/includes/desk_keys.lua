-- The keys that a desk works on, and by what name: `desk_open` takes them as they stand here.
local show_key = KEYS[1]  -- hash  the show
local drops_key = KEYS[2]  -- hash  drop -> terms
local numbers_key = KEYS[3]  -- hash  number -> drop
local stock_key = KEYS[4]  -- hash  drop -> numbers
local holds_key = KEYS[5]  -- hash  reservation -> hold
local mine_key = KEYS[6]  -- hash  viewer -> reservations
local expiry_key = KEYS[7]  -- zset  reservations by the time they lapse
local due_key = KEYS[8]  -- zset  planned moves by time
local waitlist_key = KEYS[9]  -- zset  places in all queues
local waiting_key = KEYS[10]  -- hash  place -> who wants what
local viewers_key = KEYS[11]  -- hash  viewer here now
local addresses_key = KEYS[12]  -- hash  drop and address -> units
local seeds_key = KEYS[13]  -- hash  drop -> its secret seed
local awards_key = KEYS[14]  -- stream  the award log
local figures_key = KEYS[15]  -- hash  what the show earned so far
local log_key = KEYS[16]  -- stream  the show's events
local live_key = KEYS[17]  -- channel  events and live numbers
local left_key = KEYS[18]  -- hash  draw and viewer -> how often they left it
local desk_keys = {
  show = show_key, drops = drops_key, numbers = numbers_key, stock = stock_key, holds = holds_key,
  mine = mine_key, expiry = expiry_key, due = due_key, waitlist = waitlist_key, waiting = waiting_key,
  viewers = viewers_key, addresses = addresses_key, seeds = seeds_key, awards = awards_key,
  figures = figures_key, log = log_key, live = live_key, left = left_key,
}
