"""What the viewer's page decides, without a browser: its pure parts under Node's test runner."""
