"""The operators' dashboards as code: ``python -m deploy.grafana`` writes ``dashboards/*.json``.

``questions`` and ``fleet`` hold one row of panels for each question of an operator, of single servers and of a fleet;
``panels`` the kinds of panels; ``expressions`` and ``fleet.expressions`` the PromQL that panels share; ``dashboard``
the layout; ``pages`` the dashboards. The Grafana Foundation SDK produces Grafana's JSON schema.
"""
