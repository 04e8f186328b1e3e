"""The dashboard for operators, written in code: ``python -m deploy.grafana`` writes ``dashboards/stillcue.json``.

``questions`` says what an operator asks and which panels answer; ``panels`` says how a panel looks; ``dashboard`` puts
both on a page. Grafana Foundation SDK knows Grafana's schema, so that nothing here does.
"""
