"""The gRPC server: wire and domain, admission, health, metrics. Knows no tensors and no model.

A ``Generate`` call passes these files in this order:

1. ``interceptors``: counts the call, gives it an id for the log, turns every error into a status; asks the guard of
   ``security`` who calls and whether there is room, before the request is read;
2. ``servicer``: enters the ``gate`` (starting, open, draining) and delegates;
3. ``codec``: protobuf -> ``engine.api``, wrong fields named;
4. ``admission``: a place in the bounded queue, or a refusal;
5. ``generation``: on its turn the ``engine_thread`` drives the engine, whose events go to the ``journal``; the work
   itself is done in the engine's own process, which ``opening`` starts and ``worker_watch`` listens to;
6. ``codec``: events -> protobuf, frames encoded off the engine's thread;
7. ``servicer``: messages leave in order; a reader that is too slow loses the call, not the engine;
8. ``attendance``: what becomes of a job that nobody reads; ``replays`` finds it for a caller who comes back.

``lifecycle`` starts, drains and stops all of it.
"""

__version__ = "0.1.0"
