"""The gRPC side of the server: servicer, interceptors, health, codec."""
