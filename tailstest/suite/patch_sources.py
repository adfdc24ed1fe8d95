"""What `--late-patch` puts into guests: files, folders, and what changed in a git repository."""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tailstest.core.errors import SetupError, UsageError
from tailstest.core.text import printable
from tailstest.suite.git import ask_git

FILES, RANGE, TREE = "--late-patch", "--late-patch-git", "--late-patch-tree"

#: Files of one patch; more are a mistake, such as a whole root file system.
MOST_FILES = 10_000

#: Seconds for one git command on a slow disk.
_GIT_LIMIT = 120

#: Modes of git: a link, a repository inside of a repository, and no file at all.
_LINK, _SUBMODULE, _NOTHING = "120000", "160000", "000000"

#: A name of a content that git does not know yet: it is in the working tree.
_UNKNOWN = re.compile("^0+$")


@dataclass(frozen=True)
class Patch:
    """One path in a guest and what becomes of it.

    Attributes:
        target: absolute path in the guest, without "." and "..".
        origin: where the change comes from, for people.
        content: bytes, or a file of the host that is read at each start; None removes the path.
        is_executable: whether the file may be run.
        link: where a link leads that takes the place of the path; "" for a file.
    """

    target: str
    origin: str
    content: bytes | Path | None = None
    is_executable: bool = False
    link: str = ""


def read_patches(
    files: Sequence[str], revisions: str | None = None, trees: Sequence[str] = ()
) -> list[Patch]:
    """Return what shall be put into guests, in a fixed order; each path once.

    Args:
        files: texts SOURCE=GUESTPATH; these win over what git says.
        revisions: a git range: A..B, or A for everything since A that is in the working tree.
        trees: texts FOLDER=GUESTPATH: folders of repositories, and which one of a guest each is.

    Raises:
        UsageError: names option, text and what is wrong with it.
        SetupError: there is no git.
    """
    if revisions is not None and not trees:
        raise UsageError(
            f"{RANGE}: nobody knows which folder of the guest the repository stands for",
            hint=f"add {TREE} FOLDER=GUESTPATH, for example {TREE} .=/",
        )
    if trees and revisions is None:
        raise UsageError(f"{TREE} says nothing without {RANGE} RANGE")
    found = [patch for text in trees for patch in _of_tree(text, revisions or "")]
    found += [patch for text in files for patch in _of_file(text)]
    patches = {patch.target: patch for patch in found}
    if len(patches) > MOST_FILES:
        raise UsageError(
            f"{FILES}: {len(patches)} files are too many for a patch (at most {MOST_FILES})"
        )
    return [patches[target] for target in sorted(patches)]


# Files and folders


def _of_file(text: str) -> Iterator[Patch]:
    source, target = _split(text, FILES)
    try:
        if source.is_dir():
            yield from _of_folder(text, source, _guest_path(target, text, FILES))
            return
        if not source.is_file():
            wrong = "is neither a file nor a folder" if source.exists() else "does not exist"
            raise UsageError(f"{FILES} {printable(text)}: {printable(str(source))} {wrong}")
    except OSError as error:
        raise _unreadable(text, source, error) from error
    if target.endswith("/"):
        target += source.name
    yield _file_patch(source, _guest_path(target, text, FILES), text)


def _of_folder(text: str, folder: Path, target: str) -> Iterator[Patch]:
    def refuse(error: OSError) -> None:
        raise _unreadable(text, folder, error) from error

    is_empty = True
    # os.walk tells what it cannot read, Path.rglob would leave it out.
    for parent, folders, names in os.walk(folder, onerror=refuse):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        for name in [*names, *links]:
            source = Path(parent, name)
            there = posixpath.join(target, source.relative_to(folder).as_posix())
            is_empty = False
            if source.is_symlink():
                yield Patch(there, str(source), link=str(source.readlink()))
            else:
                yield _file_patch(source, there, text)
    if is_empty:
        raise UsageError(f"{FILES} {printable(text)}: there is no file in {printable(str(folder))}")


def _file_patch(source: Path, target: str, text: str) -> Patch:
    if not source.is_file():
        raise UsageError(f"{FILES} {printable(text)}: {printable(str(source))} is no plain file")
    try:
        with source.open("rb"):
            mode = source.stat().st_mode
    except OSError as error:
        raise _unreadable(text, source, error) from error
    return Patch(target, str(source), source.resolve(), bool(mode & 0o100))


def _unreadable(text: str, source: Path, error: OSError) -> UsageError:
    name = printable(str(error.filename or source))
    return UsageError(f"{FILES} {printable(text)}: cannot read {name}: {error.strerror or error}")


def _split(text: str, option: str) -> tuple[Path, str]:
    """Return both sides of SOURCE=GUESTPATH; either may have an equals sign in its name."""
    places = [match.start() for match in re.finditer("=(?=/)", text)]
    splits = [(text[:place], text[place + 1 :]) for place in places if place]
    for source, target in splits:
        if os.path.lexists(source):
            return Path(source), target
    if splits:
        return Path(splits[0][0]), splits[0][1]
    source, equals, _target = text.partition("=")
    if source and equals:
        raise UsageError(
            f"{option} {printable(text)}: the path in the guest is not absolute",
            hint="begin it with a slash",
        )
    raise UsageError(
        f'{option} {printable(text)}: what goes where in the guest must be said with "="',
        hint=f"for example: {option} greeter.py=/usr/lib/python3/dist-packages/greeter.py",
    )


def _guest_path(target: str, text: str, option: str) -> str:
    if ".." in target.split("/") or "\0" in target:
        raise UsageError(f'{option} {printable(text)}: a path in the guest cannot have ".."')
    return "/" + posixpath.normpath(target).lstrip("/")


# What changed in a repository


def _of_tree(text: str, revisions: str) -> Iterator[Patch]:
    folder, into = _split(text, TREE)
    root = _guest_path(into, text, TREE)
    if not folder.is_dir():
        raise UsageError(f"{TREE} {printable(text)}: there is no folder {printable(str(folder))}")
    top = Path(os.fsdecode(_git(folder, "rev-parse", "--show-toplevel").removesuffix(b"\n")))
    _check_range(folder, revisions)
    told = _git(
        top,
        *("diff", "--raw", "-z", "--no-renames", "--no-relative", "--no-abbrev"),
        *("--no-ext-diff", "--ignore-submodules=none", revisions, "--"),
        f":(literal,top){folder.resolve().relative_to(top.resolve()).as_posix()}",
    )
    is_empty = True
    for new_mode, content, name in _changes(told):
        is_empty = False
        below = (top.resolve() / name).relative_to(folder.resolve()).as_posix()
        target = posixpath.join(root, below)
        origin = f"{name} ({revisions})"
        if new_mode == _NOTHING:
            yield Patch(target, origin)
        elif new_mode == _SUBMODULE:
            raise UsageError(
                f"{RANGE} {revisions}: {printable(name)} is a submodule, whose files are not here",
                hint=f"name its folder itself: {FILES} {printable(name)}={printable(target)}",
            )
        else:
            yield _git_patch(top, target, origin, new_mode, content, name)
    if is_empty:
        raise UsageError(
            f"{RANGE} {printable(revisions)}: nothing changed below {printable(str(folder))}",
            hint="a single commit means everything since then, except files git does not know yet",
        )


def _git_patch(top: Path, target: str, origin: str, mode: str, content: str, name: str) -> Patch:
    is_in_tree = bool(_UNKNOWN.match(content))
    if mode == _LINK:
        link = str((top / name).readlink()) if is_in_tree else os.fsdecode(_blob(top, content))
        return Patch(target, origin, link=link)
    body = (top / name).resolve() if is_in_tree else _blob(top, content)
    return Patch(target, origin, body, mode == "100755")


def _blob(top: Path, content: str) -> bytes:
    return _git(top, "cat-file", "blob", content)


def _changes(told: bytes) -> Iterator[tuple[str, str, str]]:
    """Yield the new mode, the name of the new content, and the path of each changed file.

    The format is that of gitdiffcore's raw output with -z: ":MODE MODE CONTENT CONTENT STATUS",
    then the path, each ended by a NUL; without renames there is one path.
    """
    parts = told.split(b"\0")[:-1]
    for facts, path in zip(parts[::2], parts[1::2], strict=True):
        _old_mode, new_mode, _old, new, _status = facts.decode().lstrip(":").split(" ")
        yield new_mode, new, os.fsdecode(path)


def _check_range(folder: Path, revisions: str) -> None:
    sides = re.split(r"\.\.\.?", revisions)
    if not revisions.strip() or revisions.startswith("-") or len(sides) > 2 or not any(sides):
        raise UsageError(
            f'{RANGE} {printable(revisions)}: "{printable(revisions)}" is not a range of commits',
            hint="give A..B, or A for everything since then",
        )
    for side in sides:
        name = f"{side or 'HEAD'}^{{commit}}"
        try:
            _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", name)
        except UsageError:
            raise UsageError(
                f"{RANGE} {printable(revisions)}: the repository of {printable(str(folder))} has "
                f'no commit "{printable(side)}"',
                hint="`git log` in that folder shows what there is",
            ) from None


def _git(folder: Path, *words: str) -> bytes:
    """Return what git says.

    Raises:
        UsageError: git refuses; quotes it.
        SetupError: there is no git, or it does not end.
    """
    try:
        done = ask_git(folder, *words, limit=_GIT_LIMIT)
    except FileNotFoundError as error:
        raise SetupError(f"{RANGE} needs git", hint="run: sudo apt install git") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"{RANGE}: git cannot be asked: {error}") from error
    if done.returncode != 0:
        said = printable(done.stderr.decode("utf-8", "replace").strip()) or "it did not say why"
        raise UsageError(f"{RANGE}: git cannot look at {printable(str(folder))}: {said}")
    return done.stdout
