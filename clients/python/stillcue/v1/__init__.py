"""Generated from proto/stillcue/v1 by `make proto`. Never edited."""
