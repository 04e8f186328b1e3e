"""Benchmarks. Each runs as ``python -m benchmarks.NAME --json FILE``; ``docs/benchmarks.md`` describes them all."""
