"""Files that come to a worker's host, and suites that are packed for the way."""

import contextlib
import hashlib
import os
import subprocess
import tarfile

import pytest

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.suite.spread import suite_archive
from tailstest.suite.spread.arrivals import Arrivals, Arriving
from tailstest.suite.spread.suite_archive import pack_suite, paths_in_suite, unpack_suite

DATA = os.urandom(100_000)
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def arrivals(tmp_path):
    return Arrivals(tmp_path / "arrived")


def sent(arrivals, data=DATA, digest=DIGEST, until=None, step=30_000):
    """Send a file as a client does; return what is coming."""
    arriving = Arriving(arrivals, digest, len(data))
    assert arriving.begin()
    while arriving.have < (until or len(data)):
        arriving.take(arriving.have, data[arriving.have : arriving.have + step])
    return arriving


def test_a_file_that_arrived_is_whole_and_arrives_once(arrivals):
    assert DIGEST not in arrivals
    sent(arrivals)
    assert DIGEST in arrivals
    assert arrivals.path_of(DIGEST).read_bytes() == DATA
    again = Arriving(arrivals, DIGEST, len(DATA))
    assert again.begin()
    assert again.have == len(DATA)


def test_what_has_come_when_the_sender_goes_away_is_no_file_and_is_gone_on_with(arrivals):
    first = sent(arrivals, until=60_000)
    assert DIGEST not in arrivals
    first.close()
    second = Arriving(arrivals, DIGEST, len(DATA))
    assert second.begin()
    assert second.have == 60_000
    second.take(60_000, DATA[60_000:])
    assert arrivals.path_of(DIGEST).read_bytes() == DATA


def test_while_a_file_is_coming_nobody_else_sends_it(arrivals):
    first = sent(arrivals, until=30_000)
    second = Arriving(arrivals, DIGEST, len(DATA))
    assert not second.begin()
    first.close()
    assert second.begin()


def test_a_piece_that_comes_twice_or_too_early_is_left_out(arrivals):
    arriving = sent(arrivals, until=30_000)
    assert arriving.take(0, DATA[:30_000]) == 30_000
    assert arriving.take(90_000, DATA[90_000:]) == 30_000
    arriving.take(30_000, DATA[30_000:])
    assert arrivals.path_of(DIGEST).read_bytes() == DATA


@pytest.mark.parametrize("change", [b"\1", b"", b"longer"])
def test_a_file_with_another_digest_is_refused_and_comes_anew(arrivals, change):
    wrong = DATA[:-1] + bytes([DATA[-1] ^ 1])
    with pytest.raises(InfrastructureError, match="did not arrive as it was"):
        sent(arrivals, wrong)
    assert DIGEST not in arrivals
    # A damaged part of an earlier run is noticed at the end, and thrown away.
    (arrivals.folder / f"{DIGEST}.part").write_bytes(change * 10)
    with contextlib.suppress(InfrastructureError):
        sent(arrivals)
    sent(arrivals)
    assert arrivals.path_of(DIGEST).read_bytes() == DATA


def test_a_full_disk_is_told_and_nothing_seems_to_have_arrived(arrivals, monkeypatch):
    arriving = Arriving(arrivals, DIGEST, 10**15)
    with pytest.raises(InfrastructureError, match="cannot keep a file"):
        arriving.begin()
    assert DIGEST not in arrivals
    assert Arriving(arrivals, DIGEST, len(DATA)).begin()  # its lock is free


@pytest.mark.parametrize("digest", ["", "../x", "a" * 63, "A" * 64, "/etc/passwd", "a" * 64 + "/"])
def test_only_a_digest_is_a_name(arrivals, digest):
    with pytest.raises(InfrastructureError, match="without a digest"):
        arrivals.path_of(digest)


def test_the_least_recently_used_files_go_and_those_in_use_stay(tmp_path):
    arrivals = Arrivals(tmp_path, limit=250)
    digests = []
    for number in range(3):
        data = bytes([number]) * 100
        digests.append(hashlib.sha256(data).hexdigest())
        sent(arrivals, data, digests[-1])
        os.utime(arrivals.path_of(digests[-1]), (number, number))
    with contextlib.ExitStack() as held:
        arrivals.use(digests[1], held)
        os.utime(arrivals.path_of(digests[1]), (1, 1))
        arrivals.prune(room=150)
        assert [each in arrivals for each in digests] == [False, True, False]
    arrivals.prune(room=200)
    assert digests[1] not in arrivals


def test_what_has_come_in_part_goes_like_other_files_unless_it_is_coming(tmp_path):
    arrivals = Arrivals(tmp_path / "arrived", limit=1)
    coming = sent(arrivals, until=30_000)
    part = arrivals.path_of(DIGEST).with_name(f"{DIGEST}.part")
    arrivals.prune()
    assert part.exists()
    coming.close()
    arrivals.prune()
    assert not part.exists()


def test_a_suite_that_was_half_unpacked_when_somebody_was_killed_is_unpacked_anew(tmp_path):
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "a.feature").write_text("Feature: a\n")
    archive = tmp_path / "archive"
    pack_suite(tmp_path / "suite", archive)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    arrivals = Arrivals(tmp_path / "arrived")
    sent(arrivals, archive.read_bytes(), digest)
    half = arrivals.path_of(digest).with_name(f"{digest}.suite.part")
    (half / "half").mkdir(parents=True)
    assert [each.name for each in arrivals.suite(digest).iterdir()] == ["a.feature"]
    assert not half.exists()


def test_a_file_has_the_same_path_with_a_name_for_all_workers_and_runs(tmp_path):
    paths = set()
    for _ in range(2):
        arrivals = Arrivals(tmp_path)
        sent(arrivals)
        with contextlib.ExitStack() as held:
            paths.add(arrivals.use_named(DIGEST, "night 7.iso", held))
    (path,) = paths
    assert path.name == "night 7.iso"
    assert path.read_bytes() == DATA
    Arrivals(tmp_path, limit=1).prune()
    assert not path.parent.exists()


@pytest.mark.parametrize("name", ["../../x.iso", "/etc/x.iso", "x.iso/"])
def test_the_name_of_a_file_that_came_leads_nowhere_else(arrivals, name):
    sent(arrivals)
    with contextlib.ExitStack() as held:
        named = arrivals.use_named(DIGEST, name, held)
    assert named == arrivals.folder / f"{DIGEST}.named" / "x.iso"


@pytest.mark.parametrize("name", ["", "..", "/", "a/.."])
def test_a_file_that_came_without_a_name_has_its_digest(arrivals, name):
    sent(arrivals)
    with contextlib.ExitStack() as held:
        named = arrivals.use_named(DIGEST, name, held)
    assert named == arrivals.folder / f"{DIGEST}.named" / DIGEST
    assert named.read_bytes() == DATA


def test_a_file_that_is_not_there_gets_no_name(arrivals):
    with (
        contextlib.ExitStack() as held,
        pytest.raises(InfrastructureError, match="not on the host"),
    ):
        arrivals.use_named(DIGEST, "x.iso", held)


def test_all_who_share_the_folder_are_one_host(tmp_path):
    assert Arrivals(tmp_path / "a").host == Arrivals(tmp_path / "a").host
    assert Arrivals(tmp_path / "a").host != Arrivals(tmp_path / "b").host


def make_suite(folder):
    (folder / "features" / "déjà vu").mkdir(parents=True)
    (folder / "features" / "déjà vu" / "a.feature").write_text("Feature: a\n")
    (folder / "steps").mkdir()
    (folder / "steps" / "a.py").write_text("x = 1\n")
    (folder / "steps" / "run.sh").write_text("true\n")
    (folder / "steps" / "run.sh").chmod(0o755)
    (folder / "link.txt").symlink_to("steps/a.py")
    (folder / "runs" / "old").mkdir(parents=True)
    (folder / "runs" / "old" / "big").write_bytes(b"x" * 1000)
    (folder / ".hidden").write_text("x")
    (folder / "image.iso").write_bytes(b"iso")
    return folder


def packed(folder, target):
    pack_suite(folder, target, leave_out=[folder / "image.iso"])
    return hashlib.sha256(target.read_bytes()).hexdigest()


def test_a_suite_is_packed_to_the_same_bytes_and_unpacked_as_it_was(tmp_path):
    suite = make_suite(tmp_path / "suite")
    first = packed(suite, tmp_path / "1.tar")
    for file in suite.rglob("*"):
        os.utime(file, (1, 1), follow_symlinks=False)
    assert packed(suite, tmp_path / "2.tar") == first
    unpack_suite(tmp_path / "1.tar", tmp_path / "out")
    out = sorted(f.relative_to(tmp_path / "out").as_posix() for f in (tmp_path / "out").rglob("*"))
    assert [each for each in out if "." in each] == [
        "features/déjà vu/a.feature",
        "link.txt",
        "steps/a.py",
        "steps/run.sh",
    ]
    assert (tmp_path / "out" / "link.txt").read_text() == "x = 1\n"
    assert not (tmp_path / "out" / "link.txt").is_symlink()
    assert os.access(tmp_path / "out" / "steps" / "run.sh", os.X_OK)
    (suite / "steps" / "a.py").write_text("x = 2\n")
    assert packed(suite, tmp_path / "3.tar") != first


def test_folders_that_every_host_has_are_left_out(tmp_path):
    suite = make_suite(tmp_path / "suite")
    pack_suite(suite, tmp_path / "s.tar", leave_out=[suite / "steps"])
    with tarfile.open(tmp_path / "s.tar") as archive:
        assert not any(name.startswith("steps/") for name in archive.getnames())
        assert "features/déjà vu/a.feature" in archive.getnames()


def test_in_a_clone_what_git_ignores_is_not_sent(tmp_path):
    suite = make_suite(tmp_path / "suite")
    (suite / ".gitignore").write_text("*.bin\nruns\n")
    (suite / "large.bin").write_bytes(b"x")
    subprocess.run(["git", "init", "-q", str(suite)], check=True)
    pack_suite(suite, tmp_path / "s.tar")
    with tarfile.open(tmp_path / "s.tar") as archive:
        names = archive.getnames()
    assert "large.bin" not in names
    assert not any(name.startswith(("runs", ".git/")) for name in names)
    assert "features/déjà vu/a.feature" in names


def test_a_suite_that_is_too_large_names_what_is_large(tmp_path, monkeypatch):
    suite = make_suite(tmp_path / "suite")
    (suite / "film.mkv").write_bytes(b"x" * 3_000_000)
    monkeypatch.setattr(suite_archive, "MAX_BYTES", 2_000_000)
    with pytest.raises(UsageError, match=r"film\.mkv \(2 MiB\)"):
        pack_suite(suite, tmp_path / "s.tar")


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "a/../../out"])
def test_an_archive_that_leads_elsewhere_is_refused(tmp_path, name):
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("fine"))
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(InfrastructureError, match="not the archive of a suite"):
        unpack_suite(tmp_path / "s.tar", tmp_path / "in" / "suite")
    assert not (tmp_path / "in" / "suite").exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_an_archive_with_links_or_devices_is_refused(tmp_path, kind):
    member = tarfile.TarInfo("x")
    member.type, member.linkname = kind, "/etc/passwd"
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        archive.addfile(member)
    with pytest.raises(InfrastructureError):
        unpack_suite(tmp_path / "s.tar", tmp_path / "suite")


@pytest.mark.parametrize("content", [b"", b"no archive", b"\0" * 5000])
def test_a_damaged_archive_is_no_suite(tmp_path, content):
    (tmp_path / "s.tar").write_bytes(content)
    if content.strip(b"\0"):
        with pytest.raises(InfrastructureError):
            unpack_suite(tmp_path / "s.tar", tmp_path / "suite")
        assert not (tmp_path / "suite").exists()


def test_paths_become_relative_to_the_suite(tmp_path, monkeypatch):
    suite = make_suite(tmp_path / "suite")
    monkeypatch.chdir(suite / "features")
    found = paths_in_suite(["déjà vu", "déjà vu/a.feature:1", str(suite), "../features"], suite)
    assert found == ("features/déjà vu", "features/déjà vu/a.feature:1", ".", "features")
    with pytest.raises(UsageError, match="is not in the suite"):
        paths_in_suite([str(tmp_path)], suite)
