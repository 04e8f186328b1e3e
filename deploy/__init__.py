"""Deployment of Stillcue: compose file, Prometheus configuration and the generated Grafana dashboard."""
