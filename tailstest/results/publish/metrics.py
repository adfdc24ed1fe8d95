"""Metrics for Prometheus, as a file that node_exporter's textfile collector reads."""

from __future__ import annotations

import datetime
from pathlib import Path

from tailstest.core.errors import InfrastructureError, SetupError, UsageError
from tailstest.results.answers.flaky import flaky_scenarios
from tailstest.results.publish.summary import summary_of
from tailstest.results.shown import one_line
from tailstest.results.standing import Standing
from tailstest.results.store.engine import Store
from tailstest.results.store.reading import newest_runs

#: Runs looked through, and names of images told of: each is a time series for ever.
SEARCHED = 500
MAX_IMAGES = 20
#: Runs that flaky scenarios are counted over, as `tailstest flaky` does.
FLAKY_OVER = 100


def write_metrics(store: Store, file: Path, today: datetime.date) -> int:
    """Write what the newest run on each image came to.

    Returns:
        The number of images.

    Raises:
        UsageError: the name of the file does not end in .prom, as the collector needs it.
        SetupError: prometheus_client is not installed.
        InfrastructureError: the file cannot be written; an older one stays as it was.
    """
    try:
        from prometheus_client import CollectorRegistry, Gauge, write_to_textfile
    except ImportError as error:
        raise SetupError(
            "metrics need the Python package prometheus-client",
            hint='run: pip install "tailstest[notify]"',
        ) from error
    if file.suffix != ".prom":
        raise UsageError(f"{file}: the textfile collector reads *.prom only", hint="rename it")
    registry = CollectorRegistry()

    def gauge(name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"tailstest_{name}", text, labels, registry=registry)

    counts = gauge("scenarios", "Scenarios of the newest run by verdict", "image", "verdict")
    started = gauge("run_start_timestamp_seconds", "When the newest run began", "image")
    duration = gauge("run_duration_seconds", "How long the newest run took", "image")
    attempts = gauge("run_attempts_seconds", "What all attempts of it took", "image")
    status = gauge("run_exit_status", "Exit status of the newest run, -1 when unknown", "image")
    finished = gauge("run_finished", "1 if the newest run came to its end", "image")
    flaky = gauge("flaky_scenarios", f"Scenarios that were flaky in the newest {FLAKY_OVER} runs")
    newest: dict[str, str] = {}
    with store.reading() as connection:
        for run in newest_runs(connection, SEARCHED):
            newest.setdefault(run.image, run.run_id)
    for image, run_id in list(newest.items())[:MAX_IMAGES]:
        summary = summary_of(store, (run_id,), today)
        run = summary.runs[0]
        name = one_line(image, 200) or "none"
        for standing in Standing:
            counts.labels(name, standing.value).set(summary.counts.get(standing, 0))
        started.labels(name).set(run.started)
        duration.labels(name).set(max(0.0, run.ended - run.started))
        attempts.labels(name).set(summary.seconds)
        status.labels(name).set(-1 if run.exit_status is None else run.exit_status)
        finished.labels(name).set(run.is_finished and not run.interrupted)
    flaky.set(len(flaky_scenarios(store, last=FLAKY_OVER)[0]))
    try:
        write_to_textfile(str(file), registry)
    except OSError as error:
        raise InfrastructureError(f"cannot write {file}: {error.strerror}") from error
    return min(len(newest), MAX_IMAGES)
