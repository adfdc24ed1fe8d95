"""What a real ISO image is made of, for comparing two, and how a store gets to know it."""

from __future__ import annotations

import datetime
import json
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from results_sample import Sample
from store_tools import open_store

from tailstest.core.errors import UsageError
from tailstest.core.events import Events, RunFinished, RunStarted
from tailstest.core.settings import Settings
from tailstest.media.image_file import digest_of
from tailstest.results.answers.compare import ImageDifference, compare_runs
from tailstest.results.merging import merge_runs
from tailstest.results.recorder import attach
from tailstest.results.run_builder import load_run
from tailstest.results.run_folder import CONTENTS_FILE, RunFolder
from tailstest.results.store import image_reading
from tailstest.results.store.adding import add_run
from tailstest.results.store.address import needed_address
from tailstest.results.store.contents_file import contents_for, keep_contents, kept_contents
from tailstest.results.store.engine import Store
from tailstest.results.store.image_reading import read_contents
from tailstest.results.store.live import LiveStore


def made_image(folder: Path, listed: str | None) -> Path:
    """Return an ISO image with a kernel, maybe a list of packages, and a link."""
    source = folder / "source"
    (source / "live").mkdir(parents=True)
    kernel = bytearray(0x1000)
    kernel[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", kernel, 0x20E, 0x600)
    kernel[0x800:0x810] = b"6.1.0-9 (x@y) #1"
    (source / "live" / "vmlinuz-6.1.0-9").write_bytes(kernel)
    (source / "live" / "filesystem.squashfs").write_bytes(b"hsqs" * 1000)
    (source / "grub.cfg").symlink_to("live/vmlinuz-6.1.0-9")
    if listed is not None:
        (source / "live" / "filesystem.packages").write_text(listed, encoding="utf-8")
    image = folder / "demo.iso"
    command = ["xorriso", "-outdev", image, "-map", source, "/", "-commit"]
    subprocess.run(command, check=True, capture_output=True)
    return image


def test_kernel_packages_and_files_are_read(tmp_path: Path) -> None:
    found = read_contents(made_image(tmp_path, "tor 0.4.8-1\nbash 5.2\n"))
    assert found.kernel == "6.1.0-9"
    assert found.packages == {"tor": "0.4.8-1", "bash": "5.2"}
    assert found.packages_from == "/live/filesystem.packages"
    assert sorted(found.files) == [
        "/live/filesystem.packages",
        "/live/filesystem.squashfs",
        "/live/vmlinuz-6.1.0-9",
    ]
    assert found.files["/live/filesystem.squashfs"][0] == 4000
    assert len(found.files["/live/filesystem.squashfs"][1]) == 64


def test_a_list_beside_the_image_will_do(tmp_path: Path) -> None:
    image = made_image(tmp_path, None)
    assert read_contents(image).packages == {}
    (tmp_path / "demo.packages").write_text("tor 0.4.8-1\n", encoding="utf-8")
    found = read_contents(image)
    assert (found.packages, found.packages_from) == ({"tor": "0.4.8-1"}, "demo.packages")


def test_what_is_no_iso_image_is_an_error_and_not_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "x.img").write_bytes(b"\0" * 510 + b"\x55\xaa" + b"\0" * 100_000)
    with pytest.raises(UsageError):
        read_contents(tmp_path / "x.img")


def recorded(folder: Path, image: Path, *, keeps: bool = True, store: str = "") -> RunFolder:
    """Record a run of an image as `launch` does."""
    run, events = RunFolder.create(folder.parent, output=folder), Events()
    told = {"name": "demo", "path": str(image), "sha256": digest_of(image)}
    environment = {"image": told}
    keeper = LiveStore(needed_address(Settings(), store), run.path, events) if store else None
    with attach(events, run, Settings(), keeper=keeper):
        if keeps:
            assert keep_contents(run.path, environment) == ""
        sample = Sample(run, events)
        sample.tell(RunStarted, run_id=str(folder), command=["x"], environment=environment)
        sample.flaky("light", ["passed"])
        sample.tell(RunFinished, counts={"passed": 1}, exit_status=0)
    return RunFolder.open(folder)


def two_images(folder: Path) -> tuple[Path, Path]:
    (folder / "old").mkdir()
    (folder / "new").mkdir()
    return made_image(folder / "old", "tor 1.0\n"), made_image(folder / "new", "tor 1.1\n")


def difference(store: Store, before: RunFolder, after: RunFolder) -> ImageDifference | None:
    runs = [load_run(each).run_id for each in (before, after)]
    return compare_runs(store, *runs, today=datetime.date(2026, 12, 1)).images


def merged(folder: Path, *parts: RunFolder) -> RunFolder:
    merge_runs(parts, folder)
    return RunFolder.open(folder)


def packages_changed(tmp_path: Path, folders: Sequence[RunFolder]) -> Mapping[str, tuple[str, str]]:
    """Return what a store tells of the packages of two runs that were added to it."""
    with open_store(tmp_path) as store:
        for folder in folders:
            add_run(store, load_run(folder), folder.path)
        found = difference(store, *folders)
    assert found is not None
    return found.packages.changed


def test_runs_that_were_put_together_and_added_tell_what_differs_between_their_images(
    tmp_path: Path,
) -> None:
    wholes = []
    for image in two_images(tmp_path):
        night = tmp_path / f"night-{image.parent.name}"
        parts = [recorded(night / name, image, keeps=name != "1") for name in ("1", "2")]
        wholes.append(merged(night / "whole", *parts))
        image.unlink()  # a job on another host has it no more
    assert packages_changed(tmp_path, wholes) == {"tor": ("1.0", "1.1")}


def test_a_run_of_an_older_version_is_added_with_what_its_image_is_made_of(tmp_path: Path) -> None:
    old, new = two_images(tmp_path)
    folders = [
        recorded(tmp_path / each.parent.name / "run", each, keeps=False) for each in (old, new)
    ]
    assert packages_changed(tmp_path, folders) == {"tor": ("1.0", "1.1")}


def test_another_image_at_the_same_place_is_not_taken_for_the_one_of_the_run(
    tmp_path: Path,
) -> None:
    old, new = two_images(tmp_path)
    folders = [
        recorded(tmp_path / each.parent.name / "run", each, keeps=False) for each in (old, new)
    ]
    new.replace(old)
    with open_store(tmp_path) as store:
        for folder in folders:
            add_run(store, load_run(folder), folder.path)
        assert difference(store, *folders) is None


def test_a_run_with_a_store_writes_it_there_at_once(tmp_path: Path) -> None:
    store_file = str(tmp_path / "store.sqlite3")
    folders = [
        recorded(tmp_path / each.parent.name / "run", each, store=store_file)
        for each in two_images(tmp_path)
    ]
    with open_store(tmp_path) as store:
        assert difference(store, *folders) is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"image": "b"}',
        '{"image": "a", "packages": {"x": 3}}',
        '{"image": "a", "files": {"x": [1]}}',
        '{"image": "a", "files": {"x": [9223372036854775808, ""]}}',
        '{"image": "a", "files": {"x": [-1, ""]}}',
        '{"image": "a", "files": {"x": [1, "no digest"]}}',
    ],
)
def test_a_damaged_file_and_one_of_another_image_tell_nothing(tmp_path: Path, text: str) -> None:
    assert kept_contents(tmp_path, "a") is None
    (tmp_path / CONTENTS_FILE).write_text(text, encoding="utf-8")
    assert kept_contents(tmp_path, "a") is None


def test_names_from_a_file_are_as_short_and_clean_as_a_store_takes_them(tmp_path: Path) -> None:
    told = {"image": "a", "packages": {"p\0" + "q" * 9999: "1"}, "files": {"r" * 9999: [1, ""]}}
    (tmp_path / CONTENTS_FILE).write_text(json.dumps(told), encoding="utf-8")
    found = kept_contents(tmp_path, "a")
    assert found is not None
    ((package, _),) = found.packages.items()
    assert "\0" not in package
    assert [len(package), len(next(iter(found.files)))] == [300, 600]


def test_an_image_that_cannot_be_read_is_told_and_spoils_nothing(tmp_path: Path) -> None:
    image = tmp_path / "x.img"
    image.write_bytes(b"\0" * 510 + b"\x55\xaa" + b"\0" * 100_000)
    environment = {"image": {"path": str(image), "sha256": "a"}}
    assert "x.img" in keep_contents(tmp_path, environment)
    assert keep_contents(tmp_path, {}) == ""
    assert not (tmp_path / CONTENTS_FILE).exists()


def test_no_mistake_in_reading_an_image_ends_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_image: Path) -> None:
        raise IndexError("a mistake")

    monkeypatch.setattr(image_reading, "read_contents", broken)
    environment = {"image": {"path": "x.iso", "sha256": "a"}}
    assert "IndexError: a mistake" in keep_contents(tmp_path, environment)
    assert contents_for(tmp_path, environment) is None
