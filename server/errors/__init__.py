"""Errors of the server: the tree of refusals, and the table from errors to reasons and status codes."""
