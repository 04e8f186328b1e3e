"""How Stillcue is run and watched: containers, Prometheus, Grafana. Knows metrics by name, not how they are made."""
