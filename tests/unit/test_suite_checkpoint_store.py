"""The store of checkpoints: whole or not at all, verified, bounded, shared."""

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading

import pytest

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.suite.checkpoints.store import CheckpointDamaged, CheckpointStore, Manifest

KEY = "0123456789abcdef"


def manifest(key=KEY):
    return Manifest(
        key=key, scenario="s", steps=["Given x"], made=1.0, seconds=9.0, state={"a": 1}, files={}
    )


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "memory").write_bytes(os.urandom(3_000_000) + bytes(3_000_000))
    (folder / "empty").touch()
    return folder


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "store", 1_000_000_000)


def unpacked(store, folder, key=KEY):
    folder.mkdir()
    store.unpack(key, folder)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_what_is_stored_comes_back_byte_for_byte_and_for_nobody_else(store, files, tmp_path):
    full = store.publish(manifest(), files)
    assert KEY in store
    assert 3_000_000 < full.size < 3_100_000
    back = unpacked(store, tmp_path / "back")
    assert back == {file.name: file.read_bytes() for file in files.iterdir()}
    store.verify(KEY)
    for path in [store.folder, *store.folder.rglob("*"), *(tmp_path / "back").iterdir()]:
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_who_comes_second_changes_nothing(store, files, tmp_path):
    before = store.publish(manifest(), files)
    (files / "memory").write_bytes(b"other")
    store.publish(manifest(), files)
    assert [entry.manifest for entry in store.entries()] == [before]
    assert len(unpacked(store, tmp_path / "back")["memory"]) == 6_000_000


def test_two_who_publish_at_once_leave_one_good_checkpoint(store, files, tmp_path):
    both = [threading.Thread(target=store.publish, args=(manifest(), files)) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert len(list(store.folder.iterdir())) == 1
    assert len(unpacked(store, tmp_path / "back")["memory"]) == 6_000_000


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


DAMAGE = {
    "flipped": flip,
    "cut": lambda file: os.truncate(file, file.stat().st_size // 2),
    "empty": lambda file: os.truncate(file, 0),
    "gone": lambda file: file.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_never_used(store, files, tmp_path, damage):
    store.publish(manifest(), files)
    DAMAGE[damage](store.folder / KEY / "memory.zst")
    with pytest.raises(CheckpointDamaged, match=r"memory\.zst"):
        unpacked(store, tmp_path / "back")
    with pytest.raises(CheckpointDamaged):
        store.verify(KEY)


def test_a_manifest_cannot_lead_out_of_its_folder(store, files, tmp_path):
    store.publish(manifest(), files)
    file = store.folder / KEY / "manifest.json"
    file.write_text(file.read_text().replace('"empty"', '"../escaped"'))
    (store.folder / KEY / "empty.zst").rename(store.folder / "escaped.zst")
    with pytest.raises(CheckpointDamaged, match="another checkpoint"):
        unpacked(store, tmp_path / "back")
    assert not (tmp_path / "escaped").exists()


def test_a_manifest_of_another_key_or_of_none_is_damaged(store, files, tmp_path):
    store.publish(manifest(), files)
    (store.folder / KEY).rename(store.folder / "other")
    with pytest.raises(CheckpointDamaged, match="another checkpoint"):
        unpacked(store, tmp_path / "back", "other")
    (store.folder / "other" / "manifest.json").write_text("{}")
    assert store.entries()[0].manifest is None
    with pytest.raises(CheckpointDamaged, match="no readable"):
        store.verify("other")
    assert store.prune() == ["other"]
    with pytest.raises(CheckpointDamaged, match="gone"):
        store.verify("other")


def test_the_least_recently_used_ones_go_when_there_are_too_many(tmp_path, files):
    store = CheckpointStore(tmp_path / "store", 7_000_000)
    for age, key in enumerate(("aaaa", "bbbb")):
        store.publish(manifest(key), files)
        os.utime(store.folder / key / "manifest.json", (100 + age, 100 + age))
    unpacked(store, tmp_path / "used", "aaaa")
    store.publish(manifest("cccc"), files)
    assert sorted(entry.key for entry in store.entries()) == ["aaaa", "cccc"]


def test_one_that_is_being_read_stays(store, files):
    store.publish(manifest(), files)
    with (store.folder / KEY / "lock").open() as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        assert store.prune(-1) == []
        assert KEY in store
    assert store.prune(-1) == [KEY]
    assert list(store.folder.iterdir()) == []


WRITER = """
import sys, time
from pathlib import Path
from tailstest.suite.checkpoints import store
def stop(file, folder):
    print("packing", flush=True)
    sys.stdin.read()
store._pack = stop
one = store.CheckpointStore(Path(sys.argv[1]), 10**9)
one.publish(store.Manifest(key="k", scenario="", steps=[], made=0, seconds=0, state={}, files={}),
            Path(sys.argv[2]))
"""


def test_what_a_killed_writer_left_goes_and_what_a_living_one_has_stays(store, files):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(store.folder), str(files)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert writer.stdout.readline() == b"packing\n"
        store.prune()
        assert len(list(store.folder.iterdir())) == 1
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        store.prune()
        assert list(store.folder.iterdir()) == []
    finally:
        writer.kill()
        writer.communicate()


def test_a_full_disk_leaves_nothing(store, files, monkeypatch):
    def full(_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tailstest.suite.checkpoints.store.os.fsync", full)
    with pytest.raises(InfrastructureError, match="No space left"):
        store.publish(manifest(), files)
    assert list(store.folder.iterdir()) == []
    assert KEY not in store


def test_a_place_that_is_no_folder_is_said_before_anything_runs(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot keep checkpoints"):
        CheckpointStore(tmp_path / "file", 1)
