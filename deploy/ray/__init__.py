"""The servicer as a gRPC application of Ray Serve: one replica for each GPU, one address.

Life of a call:

1. ``gateway`` runs in Ray's proxy. It adds the deadline to the metadata, and hands the request to Ray as bytes.
2. ``router`` runs there too. A job waits until a replica has a place (``places``); a call that names the replica of its
   job goes to that replica, any other call to any replica.
3. ``replica`` is the actor with the engine. ``calls`` puts each call through the interceptor and the servicer of
   ``server``, as if it had come from a port.
4. Messages and status go back through Ray; the gateway sends them, and turns Ray's own errors into statuses with
   details (``statuses``).

``application`` builds the Serve application; ``settings`` holds what it is configured by; ``scraping`` tells Prometheus
where the metrics of a replica are.
"""
