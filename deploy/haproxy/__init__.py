"""HAProxy before several servers: ``python -m deploy.haproxy`` writes its configuration.

``fleet`` holds what an operator states, and checks it; ``configuration`` writes ``haproxy.cfg`` and the map of replica
keys; ``health_check`` the bytes of the health check; ``refusals`` the answers that HAProxy gives by itself. ``example``
is the output for three servers. docs/fleet.md is the page for operators, docs/adr/0035 the decision.
"""
