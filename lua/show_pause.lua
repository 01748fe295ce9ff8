#!lua flags=allow-oom
-- purpose: halt a live show: nothing can be taken until it resumes; holds run on
-- returns: outcome moved with the show; not-found; wrong-state unless it is live
-- events: show.paused
--- @include "show_turn"
local show_key = KEYS[1]  -- hash  status, offset
local log_key = KEYS[2]  -- stream  the show's events
local live_key = KEYS[3]  -- channel  events and live numbers

return show_turn(show_key, log_key, live_key, 'live', 'paused', 'show.paused')
