"""The HTTP door against its own document: requests that schemathesis makes up, answered by a real server."""
