"""Redis: the client, every key, the Lua scripts, and the private server that runs where none is given."""
