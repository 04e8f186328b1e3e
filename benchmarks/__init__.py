"""Benchmarks. Each runs as ``python -m benchmarks.NAME --json FILE``; ``docs/benchmarks.md`` describes them all."""

import engine  # noqa: F401  sets what libraries read as they are imported
