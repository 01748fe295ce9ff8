"""RFC 6455 and RFC 7692 by the Autobahn test suite's cases, which kosoku runs against the live door's own classes."""
