"""The service in Prometheus' words. Labels name states, bases, hosts and causes, and nobody."""

import importlib.metadata
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from bot import counts
from storage import meter_store, migrate
from storage.gauge_store import Gauges, WorkerSeen
from storage.meter_store import ABOVE, BUCKETS_S, SUM, Meter

COUNTERS = {
    meter_store.PHOTOS: ("Photos of prepared sets, by verdict", ("verdict",)),
    meter_store.FAILURES: ("Jobs that ended without a file", ("base", "cause")),
    meter_store.DELIVERIES: ("Finished files, by the way they reached their chat", ("way",)),
    meter_store.STEPS: ("Steps of trainings that came to their end", ("base",)),
}
HISTOGRAMS = {
    meter_store.QUEUE_SECONDS: ("From the order to the first worker", ("base",)),
    meter_store.STAGE_SECONDS: ("A stage that was gone through", ("base", "stage")),
}
BOUNDS = (*(f"{bound:g}" for bound in BUCKETS_S), ABOVE)


class Snapshot(Collector):
    """What was just read, as a collector."""

    def __init__(self, gauges: Gauges, folders: Mapping[str, Path]) -> None:
        self._gauges = gauges
        self._folders = folders

    def collect(self) -> Iterator[Metric]:
        yield _info()
        yield from _jobs(self._gauges)
        yield from _workers(self._gauges.workers)
        yield _disks(self._folders)
        yield from _counters(self._gauges.meters)
        yield from _histograms(self._gauges.meters)


def text(gauges: Gauges, folders: Mapping[str, Path]) -> bytes:
    """Everything: rows first, then what this process counted itself."""
    registry = CollectorRegistry()
    registry.register(Snapshot(gauges, folders))
    registry.register(counts.REGISTRY)
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def _info() -> Metric:
    about = {"version": importlib.metadata.version("lorabot"), "schema": migrate.HEAD}
    found = GaugeMetricFamily("lorabot_info", "Which lorabot this is", labels=tuple(about))
    found.add_metric(tuple(about.values()), 1)
    return found


def _jobs(gauges: Gauges) -> Iterator[Metric]:
    jobs = GaugeMetricFamily(
        "lorabot_jobs", "Jobs in the database, by state", labels=("state", "base")
    )
    for key, count in sorted(gauges.jobs.items()):
        jobs.add_metric(key, count)
    yield jobs
    oldest = "How long the first of the queue has waited"
    yield GaugeMetricFamily("lorabot_queue_oldest_seconds", oldest, value=gauges.oldest_s)
    speed = GaugeMetricFamily(
        "lorabot_training_steps_per_second", "All running trainings together", labels=("base",)
    )
    for base, steps_per_s in sorted(gauges.steps_per_s.items()):
        speed.add_metric((base,), steps_per_s)
    yield speed


def _workers(workers: Iterable[WorkerSeen]) -> Iterator[Metric]:
    age = GaugeMetricFamily(
        "lorabot_worker_heartbeat_age_seconds",
        "Since a worker's last sign of life",
        labels=("worker", "host"),
    )
    memory = GaugeMetricFamily(
        "lorabot_gpu_memory_bytes", "Memory of a card", labels=("host", "gpu", "kind")
    )
    heat = GaugeMetricFamily(
        "lorabot_gpu_temperature_celsius", "As the driver says", labels=("host", "gpu")
    )
    busy = GaugeMetricFamily(
        "lorabot_gpu_busy_ratio", "As the driver says, 0 to 1", labels=("host", "gpu")
    )
    shown = set()
    for worker in workers:
        age.add_metric((worker.name, worker.host), worker.age_s)
        for card in worker.cards:
            place = (worker.host, str(card.number))
            if place in shown:
                continue
            shown.add(place)
            known = {"used": card.used_bytes, "total": card.all_bytes}
            for kind, size in known.items():
                if size is not None:
                    memory.add_metric((*place, kind), size)
            if card.celsius is not None:
                heat.add_metric(place, card.celsius)
            if card.busy_percent is not None:
                busy.add_metric(place, card.busy_percent / 100)
    yield from (age, memory, heat, busy)


def _disks(folders: Mapping[str, Path]) -> Metric:
    free = GaugeMetricFamily("lorabot_disk_free_bytes", "Room left there", labels=("folder",))
    for name, folder in folders.items():
        with suppress(OSError):
            free.add_metric((name,), shutil.disk_usage(folder).free)
    return free


def _counters(meters: Iterable[Meter]) -> Iterator[Metric]:
    for name, (about, labels) in COUNTERS.items():
        found = CounterMetricFamily(f"lorabot_{name}", about, labels=labels)
        for one in meters:
            if one.name == name:
                found.add_metric([one.labels.get(label, "") for label in labels], one.value)
        yield found


def _histograms(meters: Iterable[Meter]) -> Iterator[Metric]:
    for name, (about, labels) in HISTOGRAMS.items():
        series: defaultdict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
        for one in meters:
            if one.name == name:
                key = tuple(one.labels.get(label, "") for label in labels)
                series[key][one.labels["le"]] = one.value
        found = HistogramMetricFamily(f"lorabot_{name}", about, labels=labels)
        for key, values in series.items():
            found.add_metric(key, _cumulative(values), values.get(SUM, 0.0))
        yield found


def _cumulative(values: Mapping[str, float]) -> list[tuple[str, float]]:
    """Each bucket holds all that took no longer."""
    total, found = 0.0, []
    for bound in BOUNDS:
        total += values.get(bound, 0.0)
        found.append((bound, total))
    return found
