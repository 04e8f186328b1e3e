"""An engine without a model, whose outputs can be computed by hand, for tests of servers and clients."""
