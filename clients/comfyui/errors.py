"""The error that every part of the pack raises."""


class NodeError(Exception):
    """A node cannot do its work; the message says why and what to do."""
