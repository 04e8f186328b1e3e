"""The gRPC server: requests and messages, jobs, health, metrics. Imports no tensor library and no model code.

The life of a ``Generate`` call:

1. ``rpc.interceptors`` counts the call, sets its log id and asks ``security.guard``, before the request is read;
2. ``rpc.servicer`` enters the readiness gate and decodes the request with ``rpc.codec``;
3. ``jobs.service`` finds or admits the job: resume, join, reserve, prepare, enqueue;
4. ``jobs.queue`` reports positions; at position 0 ``jobs.engine_run`` runs the job on the engine thread;
5. ``jobs.stream`` encodes the events with ``rpc.codec`` and puts them into the bounded ``jobs.event_log``;
6. ``rpc.servicer`` sends the messages in order; a reader that is too slow loses the call, not the engine;
7. ``jobs.readers`` decides what becomes of a job without a reader, ``jobs.registry`` finds the job for a reader that
   resumes the stream;
8. an error becomes a status in ``rpc.interceptors``, by the table in ``errors.rules``.

Folders, from the top: ``lifecycle`` (start, drain, stop), ``rpc`` (gRPC), ``observability`` (metrics, traces, logs;
listeners of jobs), ``jobs``, ``security``, ``runtime`` (threads, readiness), ``errors``, ``settings``. Imports go down.
"""

__version__ = "0.1.0"
