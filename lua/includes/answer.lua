-- What a script tells its caller: one packed map with the outcome's name.
local function answer(outcome, fields)
  fields = fields or {}
  fields.outcome = outcome
  return cmsgpack.pack(fields)
end
