"""How a site comes into its place: whole, private, and nothing of anybody else lost."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest
from site_tools import (
    build,
    sample_store,
    troubles,
)

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.results.site import exchange
from tailstest.results.site.pages import Pages


def test_files_are_private_unless_asked(tmp_path: Path) -> None:
    sample_store(tmp_path)
    build(tmp_path)
    build(tmp_path, "public", public=True)
    for name, file_mode, folder_mode in (("site", 0o600, 0o700), ("public", 0o644, 0o755)):
        paths = [tmp_path / name, *(tmp_path / name).rglob("*")]
        modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in paths}
        assert modes == {(True, folder_mode), (False, file_mode)}


def test_a_new_site_takes_the_place_of_the_old_one_without_what_is_gone(tmp_path: Path) -> None:
    sample_store(tmp_path)
    build(tmp_path)
    site = tmp_path / "site"
    stale = site / "scenario" / "0123456789abcdef.html"
    stale.write_text("gone")
    inode = site.stat().st_ino
    build(tmp_path, last=1)
    assert not stale.exists()
    assert site.stat().st_ino != inode
    assert len(list((site / "run").iterdir())) == 1
    assert troubles(site) == []
    assert sorted(path.name for path in tmp_path.iterdir() if "site" in path.name) == ["site"]


def test_where_folders_cannot_be_exchanged_the_site_is_replaced_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample_store(tmp_path)
    build(tmp_path)
    monkeypatch.setattr(exchange, "_RENAME_EXCHANGE", 1 << 30)  # as on NFS: EINVAL
    build(tmp_path, last=1)
    assert len(list((tmp_path / "site" / "run").iterdir())) == 1
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".site")] == []


def test_a_site_that_cannot_be_finished_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample_store(tmp_path)
    build(tmp_path)
    before = {path: path.read_bytes() for path in (tmp_path / "site").rglob("*.html")}
    written = Pages.write

    def full(self: Pages, name: str, text: str) -> None:
        if self.written > 5:
            raise OSError(28, "No space left on device")
        written(self, name, text)

    monkeypatch.setattr(Pages, "write", full)
    with pytest.raises(InfrastructureError, match="No space left"):
        build(tmp_path)
    assert {path: path.read_bytes() for path in (tmp_path / "site").rglob("*.html")} == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".site")] == []


def test_what_a_killed_writer_left_goes_and_what_another_writes_stays(tmp_path: Path) -> None:
    sample_store(tmp_path)
    left, busy = tmp_path / ".site.new-0123", tmp_path / ".site.new-4567"
    for folder in (left, busy):
        (folder / "scenario").mkdir(parents=True)
    held = os.open(busy, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        build(tmp_path)
        assert (left.exists(), busy.exists()) == (False, True)
    finally:
        os.close(held)


@pytest.mark.parametrize("place", ["strangers", "added", "file"])
def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, place: str) -> None:
    sample_store(tmp_path)
    site = tmp_path / "site"
    if place == "strangers":
        (site / "photos").mkdir(parents=True)
    elif place == "added":
        build(tmp_path)
        (site / "CNAME").write_text("mine")
    else:
        site.write_text("mine")
    with pytest.raises(UsageError):
        build(tmp_path)
    kept = {"strangers": site / "photos", "added": site / "CNAME", "file": site}[place]
    assert kept.exists()
