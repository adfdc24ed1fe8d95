"""Several runs of one plan put together: shards, and what was run again."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.text import printable
from tailstest.results.environment_view import CHANGED
from tailstest.results.event_fields import list_of, number_of, text_of, trouble_in
from tailstest.results.event_log import read_events
from tailstest.results.report import build_report
from tailstest.results.run_builder import RunBuilder
from tailstest.results.run_folder import (
    CONTENTS_FILE,
    EVENTS_FILE,
    JUNIT_FILE,
    REPORT_FILE,
    RunFolder,
)

Json = dict[str, Any]

#: How the reason begins for which a shard left a scenario out.
OTHER_SHARD = "in shard"
#: Events of a part that the whole has its own of.
_OF_A_RUN = {"RunStarted", "PlanMade", "RunFinished"}
#: Facts of the whole that the part which began first may not know: it may have no git.
_OF_THE_WHOLE = ("suite_commit", "branch", "product_commit")
#: A digest or a commit, of which people compare the first digits.
_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{28,}")
_NOT_COPIED = {EVENTS_FILE, JUNIT_FILE, REPORT_FILE, CONTENTS_FILE, ".reserve"}


def merge_runs(parts: Sequence[RunFolder], output: Path) -> int:
    """Write a run that has all that some runs have; merging again gives the same events.

    A scenario that several of them ran has all of these attempts. One that was planned and that
    none of them ran is told as not run. What went wrong outside of scenarios in one of them is
    wrong with the whole.

    Args:
        parts: in any order; they are put in the order in which they were started.
        output: folder of the whole; must not exist, or be empty.

    Returns:
        The exit status of the whole.

    Raises:
        UsageError: a part is named twice, cannot be read, or they tested different images, changed
            the guests in different ways, or are of different commits of the suite.
        InfrastructureError: the whole cannot be written.
    """
    if len({part.path for part in parts}) < len(parts):
        raise UsageError("a run is named twice", hint="name each run once")
    read = [(part, read_events(part.events_file).events) for part in parts]
    read.sort(key=lambda each: (number_of(_first(each[1], "RunStarted"), "time"), _id(*each)))
    if len({_id(*each) for each in read}) < len(read):
        raise UsageError("a run and a copy of it are named", hint="name each run once")
    _check_same(read)
    whole = RunFolder.create(output.parent, output=output)
    events = [*_head(read)]
    for number, (part, told) in enumerate(read, 1):
        label = f"part-{number}"
        _copy(part.path, whole.path / label)
        events.append({"event": "PartBegan", "run_id": _id(part, told), "folder": label})
        events += [_moved(each, label) for each in told if each["event"] not in _OF_A_RUN]
    _take_contents([part for part, _ in read], whole)
    builder = RunBuilder()
    for event in events:
        builder.apply(event)
    run = builder.end()
    run.trouble = {
        f"{place}, {_id(part, told)}": verdict
        for part, told in read
        for place, verdict in trouble_in(_first(told, "RunFinished")).items()
    }
    status = run.derived_status
    counts = {verdict.value: number for verdict, number in run.counts.items() if number}
    interrupted = any(_first(told, "RunFinished").get("interrupted") for _, told in read)
    events.append(
        {
            "event": "RunFinished",
            "time": run.ended,
            "counts": counts,
            "exit_status": status,
            "interrupted": interrupted,
            "trouble": {place: verdict.value for place, verdict in run.trouble.items()},
        }
    )
    try:
        with whole.events_file.open("w", encoding="ascii") as file:
            file.writelines(json.dumps(event) + "\n" for event in events)
    except OSError as error:
        raise InfrastructureError(f"cannot write {whole.events_file}: {error.strerror}") from error
    build_report(whole)
    return status


def _check_same(read: Sequence[tuple[RunFolder, Sequence[Json]]]) -> None:
    """Raise unless all runs tested the same: together they would say nothing about it."""
    names = [part.run_id for part, _ in read]
    if len(set(names)) < len(names):
        names = [str(part.path) for part, _ in read]
    known = [(name, _environment(told)) for name, (_, told) in zip(names, read, strict=True)]
    _refuse_others(
        [(name, _image(facts) or "none") for name, facts in known],
        "these runs did not test the same image",
        hint="merge runs of one image; `tailstest compare` is for two",
    )
    _refuse_others(
        [(name, _changed(facts) or "nothing") for name, facts in known],
        "--late-patch did not change the same in the guests of these runs",
        hint="what passed in a changed guest says nothing about the image as it is: "
        "merge runs with the same changes, or without any",
    )
    commits = [(name, text_of(facts, "suite_commit")) for name, facts in known]
    _refuse_others(
        # A run without git knows none, which says nothing against it.
        [(name, commit) for name, commit in commits if commit],
        "these runs are not of the same commit of the suite",
        hint="a scenario may be another one there: run all parts from one commit",
    )


def _refuse_others(values: Sequence[tuple[str, str]], said: str, *, hint: str) -> None:
    """Raise if runs, each a name and a value, have different values; name one run for each."""
    first_of: dict[str, str] = {}
    for run, value in values:
        first_of.setdefault(value, run)
    if len(first_of) > 1:
        shown = {run: _DIGEST.sub(r"\1", value) for value, run in first_of.items()}
        each = printable(", ".join(f"{run}: {value}" for run, value in shown.items()))
        raise UsageError(f"{said} ({each})", hint=hint)


def _image(facts: Mapping[str, Any]) -> str:
    image = facts.get("image")
    return str(image.get("sha256", "")) if isinstance(image, Mapping) else ""


def _changed(facts: Mapping[str, Any]) -> str:
    """Return what was changed in the guests of a run, "" if nothing was."""
    return ", ".join(map(str, list_of(facts, CHANGED))) or str(facts.get(CHANGED) or "")


def _head(read: Sequence[tuple[RunFolder, Sequence[Json]]]) -> Iterator[Json]:
    """Yield what begins the whole: who, and all that was planned by any of the parts."""
    ids = [_id(*each) for each in read]
    name = hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()[:12]
    first = read[0][1]
    environment = {**_environment(first), "put together from": ids}
    for key in _OF_THE_WHOLE:
        known = (text_of(_environment(told), key) for _, told in read)
        if found := next(filter(None, known), ""):
            environment[key] = found
    time = number_of(_first(first, "RunStarted"), "time")
    yield {
        "event": "RunStarted",
        "time": time,
        "run_id": f"merged-{name}",
        "command": ["tailstest", "merge", *ids],
        "environment": environment,
    }
    planned: dict[str, Any] = {}
    excluded: dict[str, Any] = {}
    problems: dict[str, None] = {}
    for _, told in read:
        plan = _first(told, "PlanMade")
        problems |= dict.fromkeys(map(str, list_of(plan, "problems")))
        for each in list_of(plan, "scenarios"):
            planned.setdefault(each["id"], each)
        for each in list_of(plan, "excluded"):
            is_elsewhere = str(each.get("reason", "")).startswith(OTHER_SHARD)
            (planned if is_elsewhere else excluded).setdefault(each["id"], each)
    yield {
        "event": "PlanMade",
        "time": time,
        "scenarios": sorted(planned.values(), key=lambda each: _place(each)),
        "excluded": [each for key, each in excluded.items() if key not in planned],
        "problems": list(problems),
        "selection": text_of(_first(first, "PlanMade"), "selection"),
    }


def _place(scenario: Mapping[str, Any]) -> tuple[str, int]:
    file, _, line = str(scenario.get("location", "")).rpartition(":")
    return file, int(line) if line.isdecimal() else 0


def _id(part: RunFolder, told: Sequence[Json]) -> str:
    """Return the id of a part; its folder may be called as that of another night is."""
    return text_of(_first(told, "RunStarted"), "run_id") or part.run_id


def _environment(told: Sequence[Json]) -> Mapping[str, Any]:
    environment = _first(told, "RunStarted").get("environment")
    return environment if isinstance(environment, Mapping) else {}


def _first(told: Sequence[Json], kind: str) -> Json:
    return next((each for each in told if each["event"] == kind), {})


def _moved(event: Json, label: str) -> Json:
    """Return an event whose files lie in the folder of its part."""
    moved = dict(event)
    if event["event"] in {"FrameKept", "ArtifactKept"} and event.get("path"):
        moved["path"] = f"{label}/{event['path']}"
    files = event.get("files")
    if event["event"] == "Looked" and isinstance(files, Mapping):
        moved["files"] = {role: f"{label}/{path}" for role, path in files.items()}
    return moved


def _copy(source: Path, target: Path) -> None:
    """Copy what a run kept; a file is linked where both are on one disk, a link never followed."""
    try:
        shutil.copytree(
            source,
            target,
            copy_function=_link_or_copy,
            ignore=lambda place, names: {
                name
                for name in names
                if (Path(place) == source and name in _NOT_COPIED) or Path(place, name).is_symlink()
            },
        )
    except (OSError, shutil.Error) as error:
        raise InfrastructureError(f"cannot copy {source}: {error}") from error


def _take_contents(parts: Sequence[RunFolder], whole: RunFolder) -> None:
    """Let the whole say what its image is made of as soon as one of the parts does."""
    files = [part.path / CONTENTS_FILE for part in parts]
    for file in (each for each in files if each.is_file() and not each.is_symlink()):
        try:
            _link_or_copy(str(file), str(whole.path / CONTENTS_FILE))
        except OSError as error:
            raise InfrastructureError(f"cannot copy {file}: {error}") from error
        return


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target)
    return target
