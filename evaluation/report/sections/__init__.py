"""The sections of the page. Each is a function from the evidence to a ``Section``."""
