"""How Stillcue is deployed and watched: containers, Prometheus, Grafana. Knows metrics by name, not how they are made."""
