"""The store of checkpoints: whole or not at all, verified, bounded, shared."""

import contextlib
import errno
import fcntl
import hashlib
import os
import pwd
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import tracemalloc
from pathlib import Path

import pytest

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.suite.checkpoints import packing
from tailstest.suite.checkpoints.manifest import Manifest
from tailstest.suite.checkpoints.packing import CheckpointDamaged, pack, unpack
from tailstest.suite.checkpoints.store import CheckpointStore

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


def test_holes_are_holes_again(store, files, tmp_path):
    size, data = 64 * 1024 * 1024, os.urandom(5000)
    with (files / "stick").open("wb") as stick:
        stick.seek(20_000_123)
        stick.write(data)
        stick.truncate(size)
    store.publish(manifest(), files)
    back = unpacked(store, tmp_path / "back")["stick"]
    assert len(back) == size
    assert back == bytes(20_000_123) + data + bytes(size - 20_000_123 - len(data))
    on_the_disk = (tmp_path / "back" / "stick").stat().st_blocks * 512
    assert on_the_disk < 1024 * 1024
    store.verify(KEY)


def test_a_file_that_takes_too_long_to_pack_is_not_saved(store, files, tmp_path):
    with (files / "stick").open("wb") as stick:
        stick.truncate(packing.MOST_BYTES + 1)
    with pytest.raises(InfrastructureError, match=r"stick.* has 8\.0 GiB"):
        store.publish(manifest(), files)
    assert KEY not in store
    assert list(store.folder.iterdir()) == []


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


def rewritten(store, key, data):
    """Let a manifest be what somebody wrote, with the digest of that."""
    (store.folder / key / "manifest.json").write_bytes(data)
    line = f"{hashlib.sha256(data).hexdigest()}  manifest.json\n"
    (store.folder / key / "manifest.sha256").write_text(line)


def test_no_bit_of_a_manifest_can_change_unnoticed(store, files, tmp_path):
    store.publish(manifest(), files)
    file = store.folder / KEY / "manifest.json"
    right = file.read_bytes()
    for place in range(len(right)):
        file.write_bytes(right[:place] + bytes([right[place] ^ 1]) + right[place + 1 :])
        with pytest.raises(CheckpointDamaged, match=r"manifest\.json is not what was saved"):
            store.verify(KEY)
    with pytest.raises(CheckpointDamaged):
        unpacked(store, tmp_path / "back")
    assert store.entries()[0].manifest is None
    file.write_bytes(right)
    store.verify(KEY)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_digest_of_a_manifest_that_is_damaged_makes_it_useless(store, files, damage):
    store.publish(manifest(), files)
    DAMAGE[damage](store.folder / KEY / "manifest.sha256")
    with pytest.raises(CheckpointDamaged):
        store.verify(KEY)


def test_the_digest_of_a_manifest_is_in_the_form_of_sha256sum(store, files):
    store.publish(manifest(), files)
    check = ["sha256sum", "--check", "--status", "--strict", "manifest.sha256"]
    subprocess.run(check, cwd=store.folder / KEY, check=True)


def test_a_manifest_cannot_lead_out_of_its_folder(store, files, tmp_path):
    store.publish(manifest(), files)
    file = store.folder / KEY / "manifest.json"
    rewritten(store, KEY, file.read_bytes().replace(b'"empty"', b'"../escaped"'))
    (store.folder / KEY / "empty.zst").rename(store.folder / "escaped.zst")
    with pytest.raises(CheckpointDamaged, match="another checkpoint"):
        unpacked(store, tmp_path / "back")
    assert not (tmp_path / "escaped").exists()


def test_a_manifest_of_another_key_or_of_none_is_damaged(store, files, tmp_path):
    store.publish(manifest(), files)
    (store.folder / KEY).rename(store.folder / "other")
    with pytest.raises(CheckpointDamaged, match="another checkpoint"):
        unpacked(store, tmp_path / "back", "other")
    rewritten(store, "other", b"{}")
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
from tailstest.suite.checkpoints import manifest, store
def stop(file, folder):
    print("packing", flush=True)
    sys.stdin.read()
store.pack = stop
one = store.CheckpointStore(Path(sys.argv[1]), 10**9)
one.publish(manifest.Manifest(key="k", scenario="", steps=[], made=0, seconds=0, state={},
                              files={}), Path(sys.argv[2]))
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


@pytest.mark.parametrize("name", ["..", ".", "", "/etc/x", "a/b", "\\u0000x"])
def test_a_manifest_of_names_that_are_no_names_is_damaged(store, files, tmp_path, name):
    store.publish(manifest(), files)
    file = store.folder / KEY / "manifest.json"
    rewritten(store, KEY, file.read_bytes().replace(b'"empty"', f'"{name}"'.encode()))
    (store.folder / KEY / f"{name.replace('/', '')[:2]}.zst").touch()
    with pytest.raises(CheckpointDamaged, match="another checkpoint"):
        unpacked(store, tmp_path / "back")
    assert list((tmp_path / "back").iterdir()) == []


def test_bytes_behind_the_end_are_damage(store, files, tmp_path):
    store.publish(manifest(), files)
    for extra in (b"\0", (store.folder / KEY / "empty.zst").read_bytes()):
        with (store.folder / KEY / "memory.zst").open("ab") as file:
            file.write(extra)
        with pytest.raises(CheckpointDamaged, match=r"memory\.zst"):
            unpacked(store, tmp_path / f"back-{len(extra)}")


def test_a_manifest_that_is_no_text_is_damaged(store, files):
    store.publish(manifest(), files)
    for data in (b"\xff\x00", b"", b"[" * 100_000, b"null"):
        rewritten(store, KEY, data)
        with pytest.raises(CheckpointDamaged, match="no readable"):
            store.verify(KEY)


def test_one_that_is_larger_than_all_room_does_not_push_out_the_others(tmp_path, files):
    store = CheckpointStore(tmp_path / "store", 2_000_000)
    small = tmp_path / "small"
    small.mkdir()
    (small / "memory").write_bytes(b"small")
    store.publish(manifest("aaaa"), small)
    store.publish(manifest("bbbb"), files)
    assert [entry.key for entry in store.entries()] == ["aaaa"]


def test_one_that_is_being_read_takes_its_room_while_it_stays(tmp_path, files):
    store = CheckpointStore(tmp_path / "store", 10_000_000)
    for age, key in enumerate(("aaaa", "bbbb")):
        store.publish(manifest(key), files)
        os.utime(store.folder / key / "manifest.json", (100 + age, 100 + age))
    with (store.folder / "bbbb" / "lock").open() as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        assert store.prune(2_000_000) == ["aaaa"]
    assert [entry.key for entry in store.entries()] == ["bbbb"]


def test_there_is_room_as_long_as_nothing_has_to_go_that_was_used_lately(tmp_path, files):
    store = CheckpointStore(tmp_path / "store", 10_000_000)
    assert store.has_room(0)
    for age, key in enumerate(("aaaa", "bbbb", "cccc")):
        assert store.has_room(0)  # each takes 3 MB
        store.publish(manifest(key), files)
        os.utime(store.folder / key / "manifest.json", (100 + age, 100 + age))
    assert not store.has_room(100)
    assert store.has_room(100.5)  # the first one was used before
    (store.folder / "cccc" / "manifest.json").write_bytes(b"damaged")
    assert store.has_room(0)


def test_one_that_was_of_no_use_twice_in_a_row_goes(store, files):
    store.publish(manifest(), files)
    assert not store.doubt(KEY)
    store.trust(KEY)
    assert not store.doubt(KEY)
    store.verify(KEY)
    again = CheckpointStore(store.folder, 10**9)  # another run
    assert again.doubt(KEY)
    assert KEY not in store
    assert list(store.folder.iterdir()) == []
    assert not store.doubt(KEY)
    store.trust(KEY)


PUBLISHER = """
import sys
from pathlib import Path
from tailstest.suite.checkpoints import manifest, store
print("ready", flush=True)
sys.stdin.readline()
one = store.CheckpointStore(Path(sys.argv[1]), 10**9)
one.publish(manifest.Manifest(key=sys.argv[3], scenario="", steps=[], made=0, seconds=0, state={},
                           files={}), Path(sys.argv[2]))
"""


def test_programs_that_publish_and_tidy_at_once_do_each_other_no_harm(store, files, tmp_path):
    ours = [
        subprocess.Popen(
            [sys.executable, "-c", PUBLISHER, str(store.folder), str(files), key],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for key in (KEY, KEY, "other")
    ]
    try:
        for each in ours:
            assert each.stdout.readline() == b"ready\n"
        for each in ours:
            each.stdin.write(b"go\n")
            each.stdin.flush()
        while any(each.poll() is None for each in ours):
            store.prune()
        assert [each.returncode for each in ours] == [0, 0, 0]
    finally:
        for each in ours:
            each.kill()
            each.communicate()
    assert sorted(entry.key for entry in store.entries()) == [KEY, "other"]
    assert sorted(path.name for path in store.folder.iterdir()) == [KEY, "other"]
    for key in (KEY, "other"):
        assert len(unpacked(store, tmp_path / f"back-{key}", key)["memory"]) == 6_000_000


LIMITED = """
import resource, sys
from pathlib import Path
from tailstest.core.errors import InfrastructureError
from tailstest.suite.checkpoints import manifest, store
one = store.CheckpointStore(Path(sys.argv[1]), 10**9)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    if sys.argv[2] == "unpack":
        one.unpack(sys.argv[3], Path(sys.argv[4]))
    else:
        one.publish(manifest.Manifest(key=sys.argv[3], scenario="", steps=[], made=0, seconds=0,
                                   state={}, files={}), Path(sys.argv[4]))
except InfrastructureError as error:
    print(type(error).__name__, error.message)
"""


def limited(store, task, key, folder):
    command = [sys.executable, "-c", LIMITED, str(store.folder), task, key, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_file_that_cannot_be_written_in_full_leaves_nothing(store, files):
    assert "InfrastructureError cannot store" in limited(store, "publish", KEY, files)
    assert list(store.folder.iterdir()) == []


def test_no_room_to_unpack_is_no_damage(store, files, tmp_path):
    store.publish(manifest(), files)
    (tmp_path / "back").mkdir()
    said = limited(store, "unpack", KEY, tmp_path / "back")
    assert said.startswith("InfrastructureError cannot unpack")
    store.verify(KEY)


@contextlib.contextmanager
def without_rights(folder):
    """Close a folder to us, even if we are root."""
    folder.chmod(0)
    us = os.geteuid()
    if us == 0:
        os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        yield
    finally:
        os.seteuid(us)
        folder.chmod(0o700)


def test_one_that_may_not_be_read_is_as_none_and_no_crash(files):
    with tempfile.TemporaryDirectory() as folder:  # not below a folder that nobody may enter
        Path(folder).chmod(0o755)
        store = CheckpointStore(Path(folder), 10**9)
        store.publish(manifest(), files)
        with without_rights(store.folder / KEY):
            assert KEY not in store
            (entry,) = store.entries()
            assert entry.manifest is None
            assert store.prune() == []
            with pytest.raises(InfrastructureError, match="Permission denied"):
                store.verify(KEY)
        store.verify(KEY)


READ_ONLY = 'mount -t tmpfs -o ro tmpfs "$1" && shift && exec "$@"'
OPENER = """
import sys
from pathlib import Path
from tailstest.core.errors import UsageError
from tailstest.suite.checkpoints import manifest, store
try:
    store.CheckpointStore(Path(sys.argv[1]), 1)
except UsageError as error:
    print(error.message.rpartition(": ")[2])
"""


def test_a_folder_that_may_not_be_written_is_said_before_anything_runs(tmp_path):
    (tmp_path / "store").mkdir()
    if os.geteuid() == 0:
        command = ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh", str(tmp_path / "store")]
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
            pytest.skip("no mount namespaces here")
        said = subprocess.run(
            [*command, sys.executable, "-c", OPENER, str(tmp_path / "store")],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert said == "it cannot be written\n"
    else:
        (tmp_path / "store").chmod(0o500)
        with pytest.raises(UsageError, match="it cannot be written"):
            CheckpointStore(tmp_path / "store", 1)


def test_who_tidies_up_before_a_new_folder_is_locked_does_no_harm(store, files, monkeypatch):
    other, locked, tidied = CheckpointStore(store.folder, 10**9), store._locked, []

    def late(place, how):
        if not tidied:
            tidied.append(place)
            other.prune()
        return locked(place, how)

    monkeypatch.setattr(store, "_locked", late)
    store.publish(manifest(), files)
    assert not tidied[0].exists()
    assert [path.name for path in store.folder.iterdir()] == [KEY]
    store.verify(KEY)


def test_empty_memory_takes_no_memory_of_ours_when_it_is_unpacked(tmp_path):
    source, target = tmp_path / "memory", tmp_path / "again"
    size = 512 * 1024 * 1024
    with source.open("wb") as file:
        file.truncate(size)
    stored = pack(source, tmp_path)
    tracemalloc.start()
    try:
        unpack(tmp_path / "memory.zst", stored, target)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert target.stat().st_size == size
    assert peak < 32 * 1024 * 1024
