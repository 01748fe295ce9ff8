-- A show as the contract shows it, from its hash; times and counts as numbers, the order of its drops as a list.
local function show_view(show_key)
  local flat = redis.call('HGETALL', show_key)
  local view = {}
  local hidden = { host = true, epoch = true, offset = true, log_length = true, pinned = true, frozen = true }
  local numbers = {
    created_at = true, starts_at = true, started_at = true, ended_at = true, limit_per_viewer = true,
  }
  for i = 1, #flat, 2 do
    local name, value = flat[i], flat[i + 1]
    if name == 'run' then
      view[name] = cmsgpack.unpack(value)
    elseif not hidden[name] then
      view[name] = numbers[name] and tonumber(value) or value
    end
  end
  return view
end
