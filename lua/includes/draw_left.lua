-- How often a viewer has left a draw, this step counted. Each leave makes room for another entry, and the award log
-- keeps them all: `batch_join_refusal` bounds them by this.
local function draw_left(desk, name)
  return desk.left[name] or tonumber(redis.call('HGET', desk.keys.left, name) or '0')
end
