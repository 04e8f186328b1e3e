"""The life of a server process: signals, start, drain, stop, and the opening of the engine."""
