"""Metrics for node_exporter's textfile collector: how each key stands after a run.

The file holds points in time, not remaining times: it stands still until the next run, and an alert must not. What a
run did not see it takes over from the file that is there. It is never an input to a decision.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from orchestrator import checks, goals, kinds, spending
from orchestrator.importable import importable
from orchestrator.model import Region, View
from orchestrator.progress import Report
from orchestrator.redaction import redacted
from orchestrator.trusted import is_own_file

RUN, KEY, REGION = (), ("key",), ("key", "region")

METRICS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "mrk_last_run_timestamp_seconds": (RUN, "When the last run ended."),
    "mrk_last_exit_code": (RUN, "Exit code of the last run: 0 is all good, or nothing due."),
    "mrk_last_success_timestamp_seconds": (KEY, "When a run last ended well for this key: finished, or nothing due."),
    "mrk_next_due_timestamp_seconds": (KEY, "When this key is next due to be rotated."),
    "mrk_rotations_left": (KEY, "On-demand rotations that are left to this key, of 25 for life."),
    "mrk_rotations_few": (KEY, "1 where so few rotations are left that every run says so, else 0."),
    "mrk_key_healthy": (KEY, "1 where the last run ended well for this key, 0 where it failed or is blocked."),
    "mrk_region_healthy": (REGION, "1 where the key is Enabled in this Region and keeps all its material, else 0."),
    "mrk_restored_timestamp_seconds": (REGION, "When a run last brought back key material that was missing here."),
    "mrk_first_expiry_timestamp_seconds": (REGION, "When the first key material expires in this Region, if any does."),
}
"""Every metric: its labels and its help. `key` is the name in the config."""

_JUDGED = ("mrk_key_healthy", "mrk_region_healthy")
_RESTORED = "mrk_restored_timestamp_seconds"
_ENDED_WELL = ("finished", "idle")
_LONGEST = 1 << 24

Sample = tuple[str, tuple[str, ...]]
Samples = Mapping[Sample, float]


def write(path: Path, names: Iterable[str], reports: Iterable[Report], exit_code: int, now: datetime) -> str:
    """Write the file anew, whole or not at all, and return what went wrong: nothing where all went well."""
    samples = after(_read(path), set(names), list(reports), exit_code, now)
    registry = CollectorRegistry()
    registry.register(_Gauges(samples))
    try:
        _replace(path, generate_latest(registry))
    except OSError as error:
        return f"{error.strerror}"
    return ""


def _replace(path: Path, content: bytes) -> None:
    """Put a file in the place of another, by a new one of a name that nobody can have foreseen."""
    handle, staged = tempfile.mkstemp(".new", f".{path.name}.", path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            os.fchmod(handle, 0o644)
        Path(staged).replace(path)
    except OSError:
        with suppress(OSError):
            Path(staged).unlink()
        raise


def after(before: Samples, names: set[str], reports: list[Report], exit_code: int, now: datetime) -> Samples:
    """Return every sample as it is after a run, of the keys that the config names."""
    judged = [report for report in reports if report.status != "interrupted"]
    seen = {report.job.name: report for report in judged}
    kept = {
        (metric, labels): value
        for (metric, labels), value in before.items()
        if labels and labels[0] in names and _holds_still(metric, labels, seen.get(labels[0]))
    }
    found = {sample: value for report in judged for sample, value in _of(report, now)}
    ended: Sample = ("mrk_last_run_timestamp_seconds", ())
    code: Sample = ("mrk_last_exit_code", ())
    return {ended: now.timestamp(), code: float(exit_code), **kept, **found}


def _holds_still(metric: str, labels: tuple[str, ...], report: Report | None) -> bool:
    """Whether an older sample still says what is known: of a Region, until that is seen again or is no member."""
    if report is None:
        return True
    if metric in _JUDGED:
        return False
    view = report.view
    if view is None or not view.regions or METRICS[metric][0] != REGION or metric == _RESTORED:
        return True
    region = Region(labels[1])
    return region in view.members and region not in view.regions


def _of(report: Report, now: datetime) -> Iterator[tuple[Sample, float]]:
    name, view, policy = report.job.name, report.view, report.job.policy
    well = report.status in _ENDED_WELL
    yield ("mrk_key_healthy", (name,)), float(well)
    if well:
        yield ("mrk_last_success_timestamp_seconds", (name,)), now.timestamp()
    if view is None:
        return
    if view.regions and not kinds.right_kind(view):
        yield ("mrk_next_due_timestamp_seconds", (name,)), goals.due_at(view, policy).timestamp()
        yield ("mrk_rotations_left", (name,)), float(spending.LIFETIME_ROTATIONS - spending.rotations_used(view))
        yield ("mrk_rotations_few", (name,)), float(bool(spending.few_left(view, policy)))
    for region in sorted(report.run.memory.restored) if report.run else ():
        yield (_RESTORED, (name, region)), now.timestamp()
    for region in sorted(view.members | policy.regions):
        yield ("mrk_region_healthy", (name, region)), float(_healthy(view, region, report))
        if expiry := _first_expiry(view, region):
            yield ("mrk_first_expiry_timestamp_seconds", (name, region)), expiry.timestamp()


def _healthy(view: View, region: Region, report: Report) -> bool:
    seen, policy = view.regions.get(region), report.job.policy
    if seen is None or seen.current is None or importable(seen):
        return False
    return not any(checks.material_usable(seen, material, view.at, policy) for material in view.permanent_ids())


def _first_expiry(view: View, region: Region) -> datetime | None:
    rows = view.regions[region].rows if region in view.regions else ()
    return min((row.valid_to for row in rows if row.valid_to), default=None)


class _Gauges(Collector):
    """The samples, as prometheus_client wants them."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return a family for each metric that has samples."""
        for metric, (labels, text) in METRICS.items():
            family = GaugeMetricFamily(metric, text, labels=labels)
            for values in sorted(values for name, values in self._samples if name == metric):
                family.add_metric([redacted(value) for value in values], self._samples[metric, values])
            if family.samples:
                yield family


def _read(path: Path) -> Samples:
    """Read the file of the run before; what is no such file of ours tells nothing."""
    try:
        families = list(text_string_to_metric_families(_own_text(path)))
    except (OSError, ValueError):
        return {}
    found: dict[Sample, float] = {}
    for sample in (sample for family in families for sample in family.samples):
        labels = METRICS.get(sample.name, (("",), ""))[0]
        if set(labels) == set(sample.labels):
            found[sample.name, tuple(sample.labels[label] for label in labels)] = sample.value
    return found


def _own_text(path: Path) -> str:
    """Read what this program wrote; nothing where somebody else put something else there, such as a pipe."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, encoding="utf-8") as file:
        return file.read(_LONGEST) if is_own_file(os.fstat(handle)) else ""
