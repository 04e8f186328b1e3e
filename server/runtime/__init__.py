"""Engine factory, engine thread, thread pools and readiness."""
