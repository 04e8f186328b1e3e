"""An engine whose outputs can be computed by hand, for tests of servers and clients."""
