from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from results_sample import Sample

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.events import Events, Noted
from tailstest.core.settings import Settings
from tailstest.results.recorder import attach
from tailstest.results.run_folder import RunFolder


def test_a_new_run_is_private_and_latest(tmp_path: Path) -> None:
    first = RunFolder.create(tmp_path / "runs")
    second = RunFolder.create(tmp_path / "runs")
    assert stat.S_IMODE(first.path.stat().st_mode) == 0o700
    assert first.path != second.path
    assert (tmp_path / "runs" / "latest").resolve() == second.path
    assert second.path.name == second.run_id


def test_an_output_folder_is_used_as_it_is_and_makes_no_link(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "runs", output=tmp_path / "ci" / "out")
    assert run.path == tmp_path / "ci" / "out"
    assert not (tmp_path / "runs").exists()


def test_evidence_of_an_earlier_run_is_never_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "out"
    RunFolder.create(tmp_path, output=out)
    with pytest.raises(UsageError, match="not empty"):
        RunFolder.create(tmp_path, output=out)


def test_a_file_as_output_and_a_folder_below_a_file_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for output in (file, file / "below"):
        with pytest.raises(UsageError, match=str(output)):
            RunFolder.create(tmp_path, output=output)


def test_a_folder_without_write_permission_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        with pytest.raises(UsageError, match="cannot write the run"):
            RunFolder.create(Path("/proc/tailstest"))
        return
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="cannot write the run"):
        RunFolder.create(tmp_path / "runs")


def test_too_little_space_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="MiB are needed") as caught:
        RunFolder.create(tmp_path, free_space_needed=2**60)
    assert "free_space_needed" in caught.value.hint


def test_a_real_folder_called_latest_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    (tmp_path / "latest" / "mine").touch()
    RunFolder.create(tmp_path)
    assert (tmp_path / "latest" / "mine").exists()


def test_a_run_is_found_by_path_id_beginning_and_as_the_latest(tmp_path: Path) -> None:
    runs = [RunFolder.create(tmp_path) for _ in range(2)]
    for run in runs:
        run.events_file.touch()
        assert RunFolder.find(run.path, tmp_path).path == run.path
        assert RunFolder.find(run.run_id, tmp_path).path == run.path
        assert RunFolder.find(run.run_id[:-1], tmp_path).path == run.path
    assert RunFolder.find(None, tmp_path).path == runs[1].path
    with pytest.raises(UsageError, match="any of these"):
        RunFolder.find(runs[0].run_id[:3], tmp_path)
    with pytest.raises(UsageError, match=runs[1].run_id):
        RunFolder.find("nothing", tmp_path)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "link", "a\0b", "", None, 7])
def test_a_name_that_leads_out_of_the_run_is_not_followed(tmp_path: Path, name: object) -> None:
    (tmp_path / "secret").touch()
    run = RunFolder.create(tmp_path, output=tmp_path / "run")
    (run.path / "link").symlink_to("/etc/passwd")
    (run.path / "fine").touch()
    assert run.file(name) is None
    assert run.file("fine") == run.path / "fine"


@pytest.fixture(params=["2m"])
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={request.param}", "tailstest", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Write until nothing more fits."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as stream, pytest.raises(OSError, match="No space"):
        while True:
            stream.write(b"x" * 4096)
    return filler


def test_a_disk_that_fills_up_gives_one_error_and_still_a_report(small_disk: Path) -> None:
    folder, events = RunFolder.create(small_disk, output=small_disk / "run"), Events()
    recorder = attach(events, folder, Settings())
    sample = Sample(folder, events)
    sample.opening()
    sample.passing()
    filler = fill(small_disk)
    errors = 0
    for number in range(200):
        try:
            events.publish(Noted(text=f"note {number} " + "y" * 500))
        except InfrastructureError as error:
            errors += 1
            assert "events.jsonl" in error.message
    assert errors == 1
    filler.write_bytes(b"")  # somebody makes room
    run = recorder.close()
    assert recorder.report_file is not None
    page = recorder.report_file.read_text()
    assert "The boot menu comes up" in page
    assert "the disk was full" in page
    assert len(run.scenarios) == 8
    assert folder.events_file.read_bytes().endswith(b"\n")


def test_close_on_a_full_disk_tries_everything_and_says_so(small_disk: Path) -> None:
    folder, events = RunFolder.create(small_disk, output=small_disk / "run"), Events()
    recorder = attach(events, folder, Settings())
    Sample(folder, events).opening()
    fill(small_disk)
    with pytest.raises(InfrastructureError, match=r"junit\.xml") as caught:
        recorder.close()
    assert "tailstest report" in caught.value.hint
    assert recorder.report_file is None
    assert not list(folder.path.glob("*.new"))


@pytest.mark.parametrize("small_disk", ["32m"], indirect=True)
def test_the_reserve_is_enough_for_the_end_of_a_run_on_a_full_disk(small_disk: Path) -> None:
    folder, events = RunFolder.create(small_disk, output=small_disk / "run"), Events()
    recorder = attach(events, folder, Settings())
    Sample(folder, events).passing()
    fill(small_disk)
    with pytest.raises(InfrastructureError):
        while True:
            events.publish(Noted(text="y" * 500))
    events.publish(Noted(text="the last words"))
    recorder.close()
    assert b"the last words" in folder.events_file.read_bytes()
    assert "data:image" in folder.report_file.read_text()
    assert folder.junit_file.is_file()
    assert not list(folder.path.glob(".reserve"))
