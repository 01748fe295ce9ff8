"""The websocket door: sockets, the hub, shared frames, dispatch, drain."""
