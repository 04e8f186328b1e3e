"""An engine in a worker process: a crash, a hang or a lack of memory costs one job, not the server.

``engine`` passes calls to the worker process (``process``), which ``supervisor`` starts and restarts; ``child`` runs in
the worker. Both sides exchange ``messages`` over a ``channel``: a pipe, and shared memory (``arena``) for pictures.
"""
