"""Reading feature files one by one, so that a broken one does not keep the others from running."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from behave.model import ScenarioOutline
from behave.parser import ParserError

from tailstest.core.errors import UsageError
from tailstest.suite.gherkin_parser import GherkinParser, UnknownLanguage
from tailstest.suite.scenario_id import ScenarioIds

#: Tag of scenarios that a person does. They are part of every plan and report.
MANUAL = "manual"
#: How the line of a description begins that says what automation would need.
NEEDS = "To automate:"
#: Larger files are no features.
MAX_FEATURE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, eq=False)
class PlannedScenario:
    """A scenario or one row of an outline, and where it belongs.

    Attributes:
        model: behave's Scenario.
        feature: behave's Feature.
        feature_file: relative to the suite's folder.
        id: stable over runs, working directories and moved lines.
        name: unique within its feature.
        line: of the scenario, or of the outline's row.
        outline_lines: first and last line of the outline above its rows; None for a scenario.
    """

    model: Any
    feature: Any
    feature_file: str
    id: str
    name: str
    line: int
    outline_lines: tuple[int, int] | None = None

    @property
    def location(self) -> str:
        """File and line, for people."""
        return f"{self.feature_file}:{self.line}"

    @property
    def feature_name(self) -> str:
        """Name of the feature; of one without a name, its file."""
        return str(self.feature.name or self.feature_file)

    @property
    def tags(self) -> list[str]:
        """Own and inherited tags (feature, rule, examples), without the at sign."""
        return sorted(str(tag) for tag in self.model.effective_tags)

    @property
    def is_manual(self) -> bool:
        """Whether a person is to do it."""
        return MANUAL in self.tags

    @property
    def automation_needs(self) -> str:
        """What it would need to be automated, as its description says; "" where that says nothing.

        From the line that begins with "To automate:" to the end of the description.
        """
        lines = [str(line).strip() for line in self.model.description or []]
        first = next((n for n, line in enumerate(lines) if line.startswith(NEEDS)), len(lines))
        return " ".join(lines[first:]).removeprefix(NEEDS).strip()


@dataclass
class FeatureSet:
    """What was read: scenarios in order, and a text "file:line: ..." for each broken file."""

    scenarios: list[PlannedScenario] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def feature_files(paths: Sequence[Path]) -> list[Path]:
    """Return all feature files at or below some paths, each once, in order.

    Raises:
        UsageError: a path does not exist, is no feature, or holds none.
    """
    files: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            below = sorted(path.rglob("*.feature"))
            if not below:
                raise UsageError(f"{path}: there is no .feature file in this folder")
            files |= dict.fromkeys(file.resolve() for file in below)
        elif path.is_file():
            if path.suffix != ".feature":
                raise UsageError(f"{path}: not a .feature file")
            files[path.resolve()] = None
        else:
            raise UsageError(f"{path}: there is no such file or folder")
    return list(files)


def read_features(files: Iterable[Path], suite: Path) -> FeatureSet:
    """Read feature files; a broken one becomes a problem, and the others go on."""
    found = FeatureSet()
    ids = ScenarioIds()
    for file in files:
        name = _relative(file, suite)
        try:
            feature = _read(file, name)
        except UsageError as error:
            found.problems.append(error.message)
            continue
        if next(_items(feature), None) is None:
            found.problems.append(f"{name}:{feature.line}: the feature has no scenario")
        # Names without behave's numbers: a row above must not rename the rows below.
        for scenario in _scenarios(feature, name, ids, found.problems):
            found.scenarios.append(scenario)
    return found


def _read(file: Path, name: str) -> Any:
    try:
        if file.stat().st_size > MAX_FEATURE_BYTES:
            raise UsageError(f"{name}:1: larger than {MAX_FEATURE_BYTES} bytes, no feature")
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{name}:1: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{name}:{line}: not UTF-8 (byte {error.start} is 0x{error.object[error.start]:02x});"
            " save the file as UTF-8"
        ) from error
    try:
        feature = GherkinParser().parse(text.replace("\r\n", "\n"), name)
    except UnknownLanguage as error:
        raise UsageError(f"{name}:{error.line}: {error}") from error
    except ParserError as error:
        raise UsageError(f"{name}:{error.line or 1}: {str(error).splitlines()[0]}") from error
    except (KeyError, AttributeError, ValueError, IndexError, TypeError) as error:
        # behave's parser trips over some broken files instead of naming the line.
        raise UsageError(f"{name}:1: this is not valid Gherkin ({error!r})") from error
    if feature is None:
        raise UsageError(f"{name}:1: the file holds no Feature")
    return feature


def _scenarios(
    feature: Any, name: str, ids: ScenarioIds, problems: list[str]
) -> Iterator[PlannedScenario]:
    taken: dict[str, int] = {}
    for item in _items(feature):
        rows: list[Any] = [item]
        lines = None
        if isinstance(item, ScenarioOutline):
            for examples in item.examples:
                if examples.table is None or not examples.table.rows:
                    problems.append(
                        f'{name}:{examples.line}: the Examples "{examples.name}" have no rows,'
                        " so nothing of them would run"
                    )
                for column in _repeated(examples.table.headings if examples.table else ()):
                    problems.append(
                        f"{name}:{examples.table.line or examples.line}: the Examples"
                        f' "{examples.name}" have the column "{column}" more than once'
                    )
            if not item.examples:
                problems.append(f"{name}:{item.line}: the outline has no Examples")
            item.annotation_schema = "{name}"
            rows = list(item.scenarios)
            first = min((row.line for row in rows), default=item.line)
            lines = (item.line, first - 1)
        same_name = len({row.name for row in rows}) < len(rows)
        for row in rows:
            title = row.name or f"(unnamed, line {row.line})"
            if same_name and lines is not None and row._row is not None:
                title = f"{title} ({', '.join(row._row.cells)})"
            taken[title] = taken.get(title, 0) + 1
            if taken[title] > 1:
                title = f"{title} [{taken[title]}]"
            yield PlannedScenario(
                model=row,
                feature=feature,
                feature_file=name,
                id=ids.of(name, item, row),
                name=title,
                line=row.line,
                outline_lines=lines,
            )


def _repeated(headings: Iterable[str]) -> list[str]:
    return [heading for heading, count in Counter(headings).items() if count > 1]


def _items(container: Any) -> Iterator[Any]:
    for item in container.run_items:
        if hasattr(item, "run_items"):
            yield from _items(item)
        else:
            yield item


def _relative(file: Path, suite: Path) -> str:
    try:
        return file.resolve().relative_to(suite.resolve()).as_posix()
    except ValueError:
        return file.as_posix()
