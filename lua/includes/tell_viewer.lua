-- Publish a message that only this viewer's own sockets get. The line before the body names the viewer.
local function tell_viewer(live_key, viewer, message)
  redis.call('SPUBLISH', live_key, 'v' .. viewer .. '\n' .. cmsgpack.pack(message))
end
