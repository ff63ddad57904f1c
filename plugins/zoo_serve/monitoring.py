"""What happens in a server, as metrics for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Monitor:
    """The metrics of one server, in a registry of its own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "zoo_requests", "Requests that were answered.", ["path", "status"],
            registry=self._registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "zoo_request_seconds", "Seconds from the head of a request to the end of its answer.",
            ["path"], buckets=SECONDS, registry=self._registry,
        )  # fmt: skip
        self._batches = Histogram(
            "zoo_batch_texts", "Texts that were computed together.", ["model", "operation"],
            buckets=TEXTS, registry=self._registry,
        )  # fmt: skip
        self._tokens = Counter(
            "zoo_generated_tokens", "Tokens that were generated.", ["model"],
            registry=self._registry,
        )  # fmt: skip
        self._waiting = Gauge(
            "zoo_waiting_texts", "Texts that wait for a model.", ["model"], registry=self._registry
        )
        # Found once: it takes longer to look one up than to count.
        self._of_path: dict[str, Histogram] = {}
        self._of_answer: dict[tuple[str, int], Counter] = {}
        self._running = Gauge(
            "zoo_running_generations", "Texts that are being generated.", registry=self._registry
        )

    def watch_queue(self, model: str, waiting: Callable[[], float]) -> None:
        """Read the length of a model's queue when the metrics are asked for."""
        self._waiting.labels(model).set_function(waiting)

    def watch_generations(self, running: Callable[[], float]) -> None:
        """Read how many texts are being generated when the metrics are asked for."""
        self._running.set_function(running)

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        if (path, status) not in self._of_answer:
            self._of_answer[path, status] = self._requests.labels(path, status)
            self._of_path[path] = self._seconds.labels(path)
        self._of_answer[path, status].inc()
        self._of_path[path].observe(seconds)

    def batch(self, model: str, operation: str, texts: int) -> None:
        """Count texts that are computed together."""
        self._batches.labels(model, operation).observe(texts)

    def tokens(self, model: str, count: int) -> None:
        """Count tokens that were generated."""
        self._tokens.labels(model).inc(count)

    def exposition(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self._registry)
