"""A registry of metrics, and the rows that the documentation shows of them."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
PROBABILITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric as the documentation shows it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


class MetricTable:
    """Makes metrics in one registry; ``rows`` lists them in order."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.rows: list[MetricRow] = []

    def counter(self, name: str, meaning: str, labels: tuple[str, ...] = (), known: tuple[str, ...] = ()) -> Counter:
        """A value that only grows. ``known`` are the values of the only label that stand at 0 from the start."""
        self.rows.append(MetricRow(name, "counter", labels, meaning))
        counter = Counter(name, meaning, labels, registry=self.registry)
        for value in known:
            counter.labels(value)
        return counter

    def gauge(self, name: str, meaning: str, labels: tuple[str, ...] = ()) -> Gauge:
        """A value that goes up and down."""
        self.rows.append(MetricRow(name, "gauge", labels, meaning))
        return Gauge(name, meaning, labels, registry=self.registry)

    def histogram(
        self, name: str, meaning: str, labels: tuple[str, ...] = (), buckets: tuple[float, ...] = SECONDS
    ) -> Histogram:
        """Observations, counted by ``buckets``."""
        self.rows.append(MetricRow(name, "histogram", labels, meaning))
        return Histogram(name, meaning, labels, buckets=buckets, registry=self.registry)

    def add_process(self) -> None:
        """The library's own metrics of a process, by the names that every Prometheus client gives them."""
        ProcessCollector(registry=self.registry)
        self.rows += (
            MetricRow("process_start_time_seconds", "gauge", (), "When the process started, in Unix time."),
            MetricRow("process_cpu_seconds_total", "counter", (), "CPU time that the process took."),
            MetricRow("process_resident_memory_bytes", "gauge", (), "Memory of the host that the process holds."),
            MetricRow("process_virtual_memory_bytes", "gauge", (), "Address space of the process."),
            MetricRow("process_open_fds", "gauge", (), "Open files and sockets of the process."),
            MetricRow("process_max_fds", "gauge", (), "Open files and sockets that the process may have."),
        )
