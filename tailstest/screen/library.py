"""All reference images of a suite."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tailstest.core.errors import UsageError
from tailstest.screen.reference import Reference, load_reference


@dataclass(frozen=True)
class Problem:
    """Something wrong with a file of the library.

    Attributes:
        file: which.
        level: "error": it cannot be used; "warning": it may not check what it should.
        text: what is wrong and, where it helps, what to do.
    """

    file: Path
    level: str
    text: str


class ReferenceLibrary:
    """References by name and by tag; a bad file is a problem, and the others stay usable."""

    def __init__(self, references: Sequence[Reference], problems: Sequence[Problem] = ()) -> None:
        self.references = list(references)
        self.problems = list(problems)
        self._broken = {problem.file.stem: problem for problem in problems}

    @classmethod
    def load(cls, folders: Sequence[Path]) -> ReferenceLibrary:
        """Read all references below some folders; never raises because of a bad file."""
        references: list[Reference] = []
        problems: list[Problem] = []
        taken: dict[str, Path] = {}
        for file in _candidates(folders):
            try:
                reference = load_reference(file)
            except UsageError as error:
                text = str(error).removeprefix(f"{file}").lstrip(": ")
                problems.append(Problem(file, "error", text))
                continue
            if reference.name in taken:
                text = f'the name "{reference.name}" is taken by {taken[reference.name]}'
                problems.append(Problem(file, "error", text))
                continue
            taken[reference.name] = file
            references.append(reference)
        return cls(references, problems)

    @property
    def names(self) -> list[str]:
        """Names of all usable references."""
        return [reference.name for reference in self.references]

    @property
    def tags(self) -> list[str]:
        """All tags, sorted."""
        return sorted({tag for reference in self.references for tag in reference.tags})

    def wanted(self, name_or_tag: str) -> list[Reference]:
        """Return the reference of that name, or else all that have that tag.

        Raises:
            UsageError: there is none; names similar ones, or what is wrong with its file.
        """
        named = [each for each in self.references if each.name == name_or_tag]
        found = named or [each for each in self.references if name_or_tag in each.tags]
        if found:
            return found
        if name_or_tag in self._broken:
            problem = self._broken[name_or_tag]
            raise UsageError(f"{problem.file}: {problem.text}")
        near = difflib.get_close_matches(name_or_tag, {*self.names, *self.tags}, n=3)
        known = f"similar ones: {', '.join(near)}" if near else "none has a similar name"
        raise UsageError(
            f'there is no reference image with the name or tag "{name_or_tag}"; {known}',
            hint="add a PNG of that name to a folder in images/, or correct the name",
        )


def _candidates(folders: Sequence[Path]) -> list[Path]:
    """Return one file for each reference: its JSON file if there is one, else its picture."""
    files: dict[Path, None] = {}
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            if file.suffix.lower() == ".json":
                files[file] = None
            elif file.suffix.lower() in {".png", ".jpg", ".jpeg"}:
                definition = file.with_suffix(".json")
                files[definition if definition.exists() else file] = None
    return list(files)
