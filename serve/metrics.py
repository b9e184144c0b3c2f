"""What Prometheus is told: decisions, their time, fallbacks, reloads, requests, outcomes."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, InfoMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from tierwise.serve.answers import FALLBACK
from tierwise.serve.decision import Decision
from tierwise.serve.http_log import LogLines
from tierwise.serve.reload import ReloadingRouter
from tierwise.serve.router import Router

_SECONDS = (5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.5, 1.0)


class Metrics:
    """Counters of one sidecar, in a registry of its own.

    Labels take few values: tiers, reasons and versions of policies, paths that exist, statuses.
    Tenants, roles and keys are none.

    Parameters
    ----------
    router : Router or ReloadingRouter
        Its own counters are read when someone asks.
    log : LogLines
        The log whose lost lines are counted.
    """

    def __init__(self, router: Router | ReloadingRouter, log: LogLines) -> None:
        self.registry = CollectorRegistry()
        self._decisions = Counter(
            "tierwise_decisions",
            "Decisions.",
            ("tier", "reason", "policy_version"),
            registry=self.registry,
        )
        self._fallbacks = Counter(
            "tierwise_fallbacks", "Decisions that fell back.", registry=self.registry
        )
        self._decision_s = Histogram(
            "tierwise_decision_seconds",
            "Time of one decision, without HTTP.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._requests = Counter(
            "tierwise_http_requests", "Requests.", ("path", "status"), registry=self.registry
        )
        self._request_s = Histogram(
            "tierwise_http_request_seconds",
            "Time from a request's head to its answer.",
            ("path",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.outcomes = Counter("tierwise_outcomes", "Outcomes written.", registry=self.registry)
        self._counter_of: dict[tuple[str, str, str], Counter] = {}
        self._of_path: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self.registry.register(_OfRouter(router, log))
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def decided(self, decision: Decision, seconds: float) -> None:
        """Count a decision."""
        labels = decision.tier, decision.reason, decision.policy_version
        counter = self._counter_of.get(labels)
        if counter is None:  # finding a label's counter takes longer than counting
            counter = self._counter_of[labels] = self._decisions.labels(*labels)
        counter.inc()
        if decision.reason == FALLBACK:
            self._fallbacks.inc()
        self._decision_s.observe(seconds)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request; `path` is one of few."""
        found = self._of_path.get((path, status))
        if found is None:
            found = self._requests.labels(path, str(status)), self._request_s.labels(path)
            self._of_path[path, status] = found
        found[0].inc()
        found[1].observe(seconds)

    def page(self) -> bytes:
        """Return all of them in Prometheus' text format."""
        return generate_latest(self.registry)


class _OfRouter(Collector):
    """What the router and the log count themselves."""

    def __init__(self, router: Router | ReloadingRouter, log: LogLines) -> None:
        self._router, self._log = router, log

    def collect(self) -> Iterable[Metric]:
        """Read the counters as they are now."""
        router = self._router
        reloads = router.reloads if isinstance(router, ReloadingRouter) else {}
        for name, words, counts in (
            ("faults", "What failed in decisions, by kind.", router.faults),
            ("ignored", "Context values left out, by why.", router.ignored),
            ("reloads", "Looks for another bundle, by what came of them.", reloads),
        ):
            family = CounterMetricFamily(f"tierwise_{name}", words, labels=["kind"])
            for kind, count in dict(counts).items():
                family.add_metric([kind], count)
            yield family
        yield CounterMetricFamily(
            "tierwise_log_lines_lost", "Lines that the log could not take.", value=self._log.lost
        )
        policy = {"policy_version": router.manifest.policy_version, "digest": router.digest}
        yield InfoMetricFamily("tierwise_policy", "The policy that serves.", policy)
