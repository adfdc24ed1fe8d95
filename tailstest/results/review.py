"""Judging the candidates of a run: each beside the old reference, accepted or refused."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.paths import safe_stem
from tailstest.results.look_view import LookView
from tailstest.results.page import render_page, write_page
from tailstest.results.pictures import MAX_PIXELS, Pictures
from tailstest.results.reference_files import (
    ReferenceFiles,
    find_reference,
    merged_definition,
    read_definition,
    replace_files,
)
from tailstest.results.run_builder import load_run
from tailstest.results.run_folder import RunFolder
from tailstest.results.run_record import LookRecord, Run
from tailstest.results.shown import one_line

DECISIONS_FILE = "review.json"
PAGE_FILE = "review.html"
ACCEPTED, REFUSED = "accepted", "refused"


@dataclass
class Candidate:
    """A new picture for a reference.

    Attributes:
        key: what it is called on the command line: the reference's name, with "~2" and so on when
            a run has several different candidates for one reference.
        reference: name of the reference.
        look: the search that left it.
        picture: path of its PNG, relative to the run.
        definition: path of its JSON, "" without one.
        scenario, step: where it happened.
        decision: "", "accepted" or "refused".
    """

    key: str
    reference: str
    look: LookView
    picture: str
    definition: str
    scenario: str
    step: str
    decision: str = ""


class Review:
    """The candidates of one run and what was decided about them.

    Args:
        folder: the run.
        images: images folders of the suite; accepting writes there and nowhere else.

    Raises:
        UsageError: the run cannot be read.
    """

    def __init__(self, folder: RunFolder, images: Sequence[Path]) -> None:
        self.folder = folder
        self._images = [path.absolute() for path in images]
        self._decisions = _read_decisions(folder.path / DECISIONS_FILE)
        self.run = load_run(folder)
        self.candidates = list(self._collect(self.run))

    @property
    def pending(self) -> list[Candidate]:
        """The candidates nobody has decided about."""
        return [candidate for candidate in self.candidates if not candidate.decision]

    def select(self, keys: Sequence[str]) -> list[Candidate]:
        """Return the candidates with these keys.

        Raises:
            UsageError: one is unknown; names the known ones.
        """
        known = {candidate.key: candidate for candidate in self.candidates}
        unknown = [key for key in keys if key not in known]
        if unknown:
            raise UsageError(
                f"this run has no candidate {unknown[0]!r}; it has: {', '.join(known) or 'none'}",
                hint=f"list them with: tailstest review {self.folder.path}",
            )
        return [known[key] for key in keys]

    def describe(self, candidate: Candidate) -> str:
        """Return some lines about a candidate: files, outcome, each score with its threshold."""
        lines = [
            f"{candidate.key}: {candidate.look.outcome or 'not found'}"
            + (f" ({candidate.decision})" if candidate.decision else ""),
            f"  in     {one_line(candidate.scenario)}: {one_line(candidate.step)}",
            f"  old    {self._old(candidate)}",
            f"  new    {self.folder.path / candidate.picture}",
        ]
        for score in candidate.look.scores:
            needed = f", needed {score.needed}" if score.needed else ""
            mark = f"  <- {score.result}" if score.ok is False else ""
            lines.append(f"  {one_line(score.area)} {score.name}: {score.value:.3f}{needed}{mark}")
        return "\n".join(lines)

    def accept(self, candidate: Candidate) -> list[Path]:
        """Put the candidate in the place of its reference and remember that.

        Tags, properties and the settings of the areas stay as they are in the suite. The old files
        are kept in the run's folder, in `replaced/`.

        Returns:
            The files of the suite that were written.

        Raises:
            UsageError: the reference is not found, or the candidate's files are damaged.
            InfrastructureError: a file cannot be written; then nothing was changed.
        """
        target = find_reference(candidate.reference, self._images)
        changes = [(target.picture, self._new_picture(candidate))]
        definition = self._new_definition(candidate, target)
        if definition is not None:
            file = target.definition or target.picture.with_suffix(".json")
            text = json.dumps(definition, indent=2, ensure_ascii=False) + "\n"
            changes.append((file, text.encode("utf-8")))
        self._keep_old(candidate, [file for file, _ in changes if file.exists()])
        replace_files(changes)
        self._decide(candidate, ACCEPTED)
        return [file for file, _ in changes]

    def refuse(self, candidate: Candidate) -> None:
        """Remember that the candidate is not right; the suite stays as it is."""
        self._decide(candidate, REFUSED)

    def write_page(self) -> Path:
        """Write `review.html`: every candidate beside the old reference, with the difference."""
        pictures = Pictures(self.folder)
        roles = [
            candidate.look.files.get(role, "")
            for candidate in self.candidates
            for role in ("reference", "found")
        ]
        pictures.prepare(
            full=[*filter(None, roles), *(one.picture for one in self.candidates)], thumbs=[]
        )
        html = render_page("review.html.j2", {"review": self, "run": self.run, "pics": pictures})
        file = self.folder.path / PAGE_FILE
        write_page(file, html)
        return file

    def _collect(self, run: Run) -> Iterator[Candidate]:
        seen: dict[str, list[bytes]] = {}
        for scenario, step, look in _failed_looks(run):
            picture = look.files.get("candidate", "")
            file = self.folder.file(picture)
            reference = str(look.look.get("reference") or (look.wanted or [""])[0])
            if file is None or not reference:
                continue
            data = file.read_bytes()
            others = seen.setdefault(reference, [])
            if data in others:  # the same screen was searched again
                continue
            others.append(data)
            key = reference if len(others) == 1 else f"{reference}~{len(others)}"
            yield Candidate(
                key=key,
                reference=reference,
                look=LookView(look),
                picture=picture,
                definition=look.files.get("candidate_json", ""),
                scenario=scenario,
                step=step,
                decision=self._decisions.get(key, ""),
            )

    def _old(self, candidate: Candidate) -> str:
        try:
            return str(find_reference(candidate.reference, self._images).picture)
        except UsageError as error:
            return error.message

    def _new_picture(self, candidate: Candidate) -> bytes:
        file = self.folder.file(candidate.picture)
        try:
            data = file.read_bytes() if file else b""
            with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise ValueError("too large")
                image.load()
        except (OSError, ValueError, SyntaxError) as error:
            raise UsageError(
                f"the candidate {self.folder.path / candidate.picture} is no picture: {error}",
                hint="refuse it and run the scenario again",
            ) from error
        return data

    def _new_definition(
        self, candidate: Candidate, target: ReferenceFiles
    ) -> dict[str, Any] | None:
        """Return the JSON to write, None when the reference is a picture alone and stays so."""
        file = self.folder.file(candidate.definition)
        if file is None:
            return None
        new = read_definition(file)
        if target.definition is None:
            return new if len(new.get("area") or []) > 1 else None
        return merged_definition(read_definition(target.definition), new)

    def _keep_old(self, candidate: Candidate, files: Sequence[Path]) -> None:
        folder = self.folder.path / "replaced" / safe_stem(candidate.key)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for file in files:
                (folder / file.name).write_bytes(file.read_bytes())
        except OSError as error:
            raise InfrastructureError(
                f"cannot keep the old files in {folder}: {error.strerror}",
                hint="free some space, then accept again",
            ) from error

    def _decide(self, candidate: Candidate, decision: str) -> None:
        candidate.decision = decision
        self._decisions[candidate.key] = decision
        content = {"decided": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "decisions": self._decisions}
        replace_files(
            [(self.folder.path / DECISIONS_FILE, json.dumps(content, indent=2).encode("ascii"))]
        )


def _failed_looks(run: Run) -> Iterator[tuple[str, str, LookRecord]]:
    for scenario in run.scenarios:
        for attempt in scenario.attempts:
            for step in attempt.steps:
                for look in step.looks:
                    if look.kind != "text" and not look.found:
                        yield scenario.name, step.title, look
    for look in run.looks:
        if look.kind != "text" and not look.found:
            yield "", "", look


def _read_decisions(file: Path) -> dict[str, str]:
    """Read what was decided before; an unreadable file counts as nothing decided."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))["decisions"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    if not isinstance(value, dict):
        return {}
    return {str(key): word for key, word in value.items() if word in (ACCEPTED, REFUSED)}
