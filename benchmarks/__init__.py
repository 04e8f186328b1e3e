"""Side-by-side measurements. Each runs as ``python -m benchmarks.NAME --json FILE``; see ``docs/benchmarks.md``."""
