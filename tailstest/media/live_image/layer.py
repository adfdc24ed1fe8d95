"""Thin layers over the base of a live image: the agent, or something that is broken on purpose."""

from __future__ import annotations

import tarfile
from pathlib import Path

from tailstest.core.errors import UsageError
from tailstest.media.live_image.base_system import SQUASHFS_OPTIONS
from tailstest.media.live_image.recipe import FILE_NAME, Edit, LayerChange, LiveRecipe
from tailstest.media.live_image.tool import run_tool
from tailstest.media.live_image.tree import add_bytes, add_tree

#: The layer that gets our agent.
AGENT_LAYER = "agent"


def build_layer(recipe: LiveRecipe, name: str, agent: Path, target: Path, epoch: int) -> None:
    """Make the squashfs of one layer.

    Args:
        agent: file of our agent; goes into the layer "agent".

    Raises:
        UsageError: an edit does not fit the file that it changes.
    """
    changes = recipe.layer.get(name, LayerChange())
    archive_file = target.with_suffix(".tar")
    with tarfile.open(archive_file, "w") as archive:
        add_tree(archive, recipe.folder / "layers" / name, epoch)
        for file in dict.fromkeys(edit.file for edit in changes.edits):
            text = edited(recipe, name, [edit for edit in changes.edits if edit.file == file])
            source = recipe.folder / "base" / file
            executable = bool(source.stat().st_mode & 0o100)
            add_bytes(archive, file, text.encode(), epoch, executable=executable)
        if name == AGENT_LAYER:
            add_bytes(archive, recipe.agent, agent.read_bytes(), epoch, executable=True)
        for path in changes.remove:
            archive.addfile(_whiteout(path, epoch))
    run_tool(
        ["mksquashfs", "-", str(target), "-tar", *SQUASHFS_OPTIONS],
        environment={"SOURCE_DATE_EPOCH": str(epoch)},
        stdin=archive_file,
    )
    archive_file.unlink()


def edited(recipe: LiveRecipe, layer: str, edits: list[Edit]) -> str:
    """Return a file of the base with all `edits` (of that file) made.

    Raises:
        UsageError: there is no such file, or the text to replace is not there exactly once.
    """
    origin = f"{recipe.folder / FILE_NAME}: layer.{layer}"
    source = recipe.folder / "base" / edits[0].file
    if not source.is_file():
        raise UsageError(f"{origin}: the base has no file {edits[0].file}")
    text = source.read_text(encoding="utf-8")
    for edit in edits:
        if (count := text.count(edit.replace)) != 1:
            raise UsageError(
                f"{origin}: {edit.replace!r} stands {count} times in {edit.file}, not once",
                hint="change the edit so that it fits the file again",
            )
        text = text.replace(edit.replace, edit.by)
    return text


def _whiteout(path: str, epoch: int) -> tarfile.TarInfo:
    """Return what makes overlayfs hide a file of a lower layer: a character device 0, 0.

    See https://docs.kernel.org/filesystems/overlayfs.html, "whiteouts and opaque directories".
    """
    member = tarfile.TarInfo(path)
    member.type, member.devmajor, member.devminor, member.mtime = tarfile.CHRTYPE, 0, 0, epoch
    return member
