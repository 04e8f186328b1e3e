"""The engine's contract with its callers: jobs, events, reports, errors, the ``Engine`` protocol.

Everything here is plain data or a protocol. No module imports numpy, Pillow, a runtime, or another part of the engine,
so that a server can import all of it without loading a model library.
"""
