"""Writes ``haproxy.cfg`` and ``replicas.map`` for a fleet. The comments are for the operator who reads the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.haproxy.health_check import ANSWERED, NOT_SERVING, check_bytes

if TYPE_CHECKING:
    from deploy.haproxy.fleet import Fleet, Replica

MAP_FILE, REFUSED_FILE, BROKEN_FILE = "replicas.map", "refused.http", "broken.http"
_SERVICE = "/stillcue.v1.StillcueService"

_GLOBAL = """\
# HAProxy before servers of Stillcue, written by `python -m deploy.haproxy`; docs/fleet.md explains it.
# HAProxy 2.6 or newer.  Check: haproxy -c -f haproxy.cfg   Start: haproxy -W -f haproxy.cfg   Reload: SIGUSR2

global
    # The files named below lie beside this one.
    default-path config
    log stdout format raw daemon info
    maxconn 4000{user}
    # A buffer holds the largest request (9 MiB, with a picture of 8 MiB). Otherwise a call that waits with a half-read
    # picture would stop all other calls of its connection, running streams included. Only what is used takes memory.
    tune.bufsize 10485760
    tune.h2.max-frame-size 65536
    tune.h2.initial-window-size 1048576
    # Calls of one connection, waiting ones included; further calls wait at the caller.
    tune.h2.max-concurrent-streams 1000

{resolvers}defaults
    mode http
    log global
    option httplog
    option dontlognull
    # Each event goes on at once.
    option http-no-delay
    # A caller that cancels leaves the queue.
    option abortonclose
    # Streams are silent for as long as one graph call takes (10 minutes at most), so silence ends none. A peer that
    # vanished is found by TCP: probes after 10 s of silence, or 15 s in which sent data is not acknowledged (tcp-ut).
    timeout client 20m
    timeout server 20m
    option clitcpka
    clitcpka-idle 10s
    clitcpka-intvl 5s
    clitcpka-cnt 1
    option srvtcpka
    srvtcpka-idle 10s
    srvtcpka-intvl 5s
    srvtcpka-cnt 1
    timeout http-request 30s
    # Connections without a call.
    timeout http-keep-alive 1h
    timeout connect 3s
    timeout check 3s
    timeout queue {queue_seconds}s
    # A server that refuses the connection costs a second try, elsewhere. Nothing is repeated that a server has seen.
    retries 2
    option redispatch 1
    # Answers of HAProxy itself, as gRPC statuses.
    errorfile 502 {broken}
    errorfile 503 {refused}
    errorfile 504 {broken}

frontend callers
    bind {bind} tcp-ut 15s
    # A resume token is KEY.REST; callers send KEY as the header stillcue-replica when they resume or cancel.
    http-request set-var(txn.replica) req.hdr(stillcue-replica),map({map})
    acl is_generate path {service}/Generate
    # CancelGenerate goes to the server that has the job, even while that server takes no new jobs.
    use_backend %[var(txn.replica)] if !is_generate {{ var(txn.replica) -m found }}
    # A broken stream goes back to its server, past the queue. Where that server is gone, any other says so at once; the
    # caller then sends the whole request without the header, and the job is done again.
    use_backend %[var(txn.replica)] if {{ var(txn.replica),nbsrv gt 0 }}
    use_backend generate if is_generate !{{ req.hdr(stillcue-replica) -m found }}
    default_backend calls

# Generate: one running job a server, the others wait here. The first server that is free takes the job that came first.
# Each job has a connection of its own (max-reuse 0), so that a slow caller stops no other stream.
backend generate
    balance leastconn
    # A full queue refuses at once, a waiting job after `timeout queue`; both with the answer of {refused}.
    http-request deny deny_status 503 if {{ queue(generate) ge {queue_job_count} }}
    # Every second a call of grpc.health.v1.Health/Check, as bytes. NOT_SERVING (a server that starts or drains, or that
    # restarts its engine) means no new jobs; its running stream goes on. No answer means down.
    option tcp-check
    tcp-check connect default
    tcp-check send-binary {check} comment "Health/Check"
    tcp-check expect binary {answered} comment "a status"
    tcp-check expect min-recv 1 ! binary {not_serving} error-status L7OKC on-error "NOT_SERVING"
    default-server {server_options} maxconn 1 max-reuse 0 check inter 1s fall 2 rise 1
    # A refused connection marks a server down without waiting for the next check.
    default-server observe layer4 error-limit 1 on-error mark-down
{generate_servers}

# ScoreMatch, GetCapabilities, health, streams whose server is gone: any server, also one that runs a job.
backend calls
    balance leastconn
    default-server {server_options}
{calls_servers}

# One backend a server, for streams that return to it.
{replica_backends}
# Metrics for Prometheus at /metrics, a page for people at /. In plain text: for this machine or a trusted network.
frontend metrics
    bind {metrics_listen}
    option dontlog-normal
    http-request use-service prometheus-exporter if {{ path /metrics }}
    stats enable
    stats uri /
    stats refresh 5s
"""

# HAProxy knows no search domains: names must be whole. A name that nobody has keeps its server down.
_RESOLVERS = """\
resolvers names
    parse-resolv-conf
    accepted_payload_size 8192
    timeout resolve 1s
    timeout retry 1s
    hold valid 1s

"""

_REPLICA_BACKEND = """\
backend {name}
    errorfile 503 {broken}
    server {server} {address} {options} max-reuse 0 track generate/{server}
"""


def configuration_of(fleet: Fleet) -> str:
    """Returns the content of ``haproxy.cfg``."""
    options = _server_options(fleet)
    is_encrypted = fleet.to_servers is not None
    return _GLOBAL.format(
        user=f"\n    user {fleet.user}\n    group {fleet.user}" if fleet.user else "",
        resolvers=_RESOLVERS if fleet.follows_names else "",
        queue_seconds=fleet.queue_seconds,
        queue_job_count=fleet.queue_job_count,
        refused=REFUSED_FILE,
        broken=BROKEN_FILE,
        bind=_bind(fleet),
        map=MAP_FILE,
        service=_SERVICE,
        check=check_bytes("stillcue", is_encrypted=is_encrypted).hex(),
        answered=ANSWERED,
        not_serving=NOT_SERVING,
        server_options=options,
        generate_servers=_servers(fleet, "{name} {address}{names}"),
        calls_servers=_servers(fleet, "{name} {address}{names} track generate/{name}"),
        replica_backends="\n".join(
            _REPLICA_BACKEND.format(
                name=backend_of(replica),
                broken=BROKEN_FILE,
                server=replica.name,
                address=replica.address,
                options=options + _names(fleet, replica),
            )
            for replica in fleet.replicas
        ),
        metrics_listen=fleet.metrics_listen,
    )


def map_of(fleet: Fleet) -> str:
    """Returns the content of ``replicas.map``: the key of each replica and the backend that reaches it."""
    lines = [f"{replica.key} {backend_of(replica)}" for replica in fleet.replicas]
    return "\n".join(("# KEY BACKEND: the key that begins the resume tokens of a server", *lines, ""))


def backend_of(replica: Replica) -> str:
    """Returns the name of the backend that holds one server."""
    return f"replica-{replica.name}"


def _bind(fleet: Fleet) -> str:
    if fleet.certificate is None:
        return f"{fleet.listen} proto h2"
    clients = f" ca-file {_quoted(fleet.client_authority)} verify required" if fleet.client_authority else ""
    return f"{fleet.listen} ssl crt {_quoted(fleet.certificate)} alpn h2 ssl-min-ver TLSv1.2{clients}"


def _server_options(fleet: Fleet) -> str:
    options = "proto h2 tcp-ut 15s"
    if fleet.follows_names:
        options += " resolvers names init-addr libc,none"
    if fleet.to_servers is None:
        return options
    own = fleet.to_servers.certificate
    certificate = "" if own is None else f" crt {_quoted(own)}"
    authority = _quoted(fleet.to_servers.authority)
    return f"{options} ssl alpn h2 check-alpn h2 verify required ca-file {authority}{certificate}"


def _names(fleet: Fleet, replica: Replica) -> str:
    if fleet.to_servers is None:
        return ""
    name = fleet.to_servers.host_name or replica.host
    return f" sni str({name}) check-sni {name} verifyhost {name}"


def _servers(fleet: Fleet, form: str) -> str:
    return "\n".join(
        "    server " + form.format(name=replica.name, address=replica.address, names=_names(fleet, replica))
        for replica in fleet.replicas
    )


def _quoted(path: object) -> str:
    """Returns a path in HAProxy's strong quotes, within which nothing has a meaning."""
    return "'" + str(path).replace("'", "'\\''") + "'"
