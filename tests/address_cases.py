"""Addresses as people write them, and what the client, the command line and the server answer.

The same table stands in docs/inputs.md.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AddressCase:
    """An address; what a client answers, and what ``--listen`` answers. None: the address is accepted."""

    address: str
    called: str | None
    listened: str | None


def _both(address: str, answer: str) -> AddressCase:
    return AddressCase(address, answer, answer)


_PORT = "has the port {}, which is not a number from {} to 65535"
_LONG = "unix:/run/" + "x" * 103

CASES: tuple[AddressCase, ...] = (
    AddressCase("localhost:50051", None, None),
    AddressCase("gpu-1.example:50051", None, None),
    AddressCase("my_service:50051", None, None),
    AddressCase("10.0.0.1:50051", None, None),
    AddressCase("[::1]:50051", None, None),
    AddressCase("[fe80::1%eth0]:50051", None, None),
    AddressCase("unix:/run/stillcue.sock", None, None),
    AddressCase("unix:///run/stillcue.sock", None, None),
    AddressCase("unix:stillcue.sock", None, None),
    AddressCase("dns:///gpu-1.example:50051", None, "is not HOST:PORT; leave out dns:///: gpu-1.example:50051"),
    AddressCase(
        "dns:///gpu-1.example",
        None,
        "is not HOST:PORT; leave out dns:///, add the port: for example gpu-1.example:50051",
    ),
    AddressCase(
        "0.0.0.0:50051", "is an address to listen on, not to call; for this machine write localhost:50051", None
    ),
    AddressCase("[::]:50051", "is an address to listen on, not to call; for this machine write localhost:50051", None),
    AddressCase("localhost:0", _PORT.format("'0'", 1), None),
    _both("http://localhost:50051", "is not HOST:PORT; leave out http://: localhost:50051"),
    _both(
        "https://gpu-1.example:50051/",
        "is not HOST:PORT; leave out https://, leave out / at the end: gpu-1.example:50051",
    ),
    _both("grpc://gpu-1.example:50051", "is not HOST:PORT; leave out grpc://: gpu-1.example:50051"),
    _both("HTTPS://[::1]:50051", "is not HOST:PORT; leave out HTTPS://: [::1]:50051"),
    _both("tcp:/localhost:50051", "is not HOST:PORT; leave out tcp:/: localhost:50051"),
    _both("gpu-1.example:50051/", "is not HOST:PORT; leave out / at the end: gpu-1.example:50051"),
    _both("gpu-1.example:50051/v1?x=1", "is not HOST:PORT; leave out /v1?x=1 at the end: gpu-1.example:50051"),
    _both("gpu-1.example", "is not HOST:PORT; add the port: for example gpu-1.example:50051"),
    _both(
        "http://gpu-1.example/",
        "is not HOST:PORT; leave out http://, leave out / at the end, add the port: for example gpu-1.example:50051",
    ),
    _both("localhost:", "is not HOST:PORT; add the port: for example localhost:50051"),
    _both("::1", "is not HOST:PORT; add the port, put the IPv6 address in brackets: for example [::1]:50051"),
    _both("::1:50051", "is not HOST:PORT; put the IPv6 address in brackets: [::1]:50051"),
    _both("2001:db8::5:50051", "is not HOST:PORT; put the IPv6 address in brackets: [2001:db8::5]:50051"),
    _both("[::1]", "is not HOST:PORT; add the port: for example [::1]:50051"),
    _both("[localhost]:50051", "is not HOST:PORT; leave out the brackets: localhost:50051"),
    _both("localhost:65536", "has the port '65536', which is not a number from {} to 65535"),
    _both("localhost:-1", "has the port '-1', which is not a number from {} to 65535"),
    _both("localhost:grpc", "has the port 'grpc', which is not a number from {} to 65535"),
    _both(" localhost:50051\r", "is not HOST:PORT; leave out the white space: localhost:50051"),
    _both("gpu\u20111.example:50051", "is not HOST:PORT; write it in ASCII: gpu-1.example:50051"),
    _both("local\u200bhost:50051", "is not HOST:PORT; write it in ASCII: localhost:50051"),
    _both("localhost:\uff15\uff10\uff10\uff15\uff11", "is not HOST:PORT; write it in ASCII: localhost:50051"),
    _both("b\u00fccher.example:50051", "is not HOST:PORT; write the host as the DNS does: xn--bcher-kva.example:50051"),
    _both("user:secret@gpu-1.example:50051", "is not HOST:PORT; leave out the user before @: gpu-1.example:50051"),
    _both("gpu-1:50051,gpu-2:50051", "names more than one address; give one"),
    _both("localhost:50051:50052", "names the host 'localhost:50051', which is neither a name nor an IP address"),
    _both("256.0.0.1:50051", "names the host '256.0.0.1', which is neither a name nor an IP address"),
    _both("/run/stillcue.sock", "is a path; for a Unix socket write unix:/run/stillcue.sock, for a port HOST:PORT"),
    _both("unix:", "has no path; write for example unix:/run/stillcue.sock"),
    _both(
        "unix://run/stillcue.sock", "has two slashes, which only a whole path may follow; write unix:run/stillcue.sock"
    ),
    _both("unix:/run/a?b", "holds '?', which ends the path of an address; write unix:/run/a%3Fb"),
    _both(_LONG, "has a path of 108 bytes, and a Unix socket's may have 107; choose a shorter one"),
    AddressCase(
        "unix-abstract:stillcue", None, "is open to every user of this machine, having no file; write unix:PATH"
    ),
    AddressCase(
        "50051",
        "is not HOST:PORT; add the host: for example localhost:50051",
        "is not HOST:PORT; add the host: for example 127.0.0.1:50051",
    ),
    AddressCase(
        ":50051",
        "is not HOST:PORT; add the host: for example localhost:50051",
        "is not HOST:PORT; add the host: for example 127.0.0.1:50051",
    ),
    AddressCase(
        "*:50051",
        "names the host '*', which is neither a name nor an IP address",
        "has no host; for every address of this machine write 0.0.0.0:50051 or [::]:50051",
    ),
    AddressCase(
        "ipv4:127.0.0.1:50051,127.0.0.1:70000", _PORT.format("'70000'", 1), "names more than one address; give one"
    ),
    AddressCase(
        "ipv4:localhost:50051",
        "names the host 'localhost', which is no address of ipv4; write dns:///localhost:50051",
        "names the host 'ipv4:localhost', which is neither a name nor an IP address",
    ),
    AddressCase("dns:gpu-1.example:70000", _PORT.format("'70000'", 1), _PORT.format("'70000'", 0)),
)
