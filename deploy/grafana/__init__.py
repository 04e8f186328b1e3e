"""The operators' dashboard as code: ``python -m deploy.grafana`` writes ``dashboards/stillcue.json``.

``questions`` holds one row of panels for each question of an operator; ``panels`` the kinds of panels; ``expressions``
the PromQL that panels share; ``dashboard`` the layout. The Grafana Foundation SDK produces Grafana's JSON schema.
"""
