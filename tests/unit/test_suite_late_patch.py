"""What --late-patch puts into a guest, and how it tells of it; the guest is a dictionary."""

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from tailstest.core.errors import UsageError
from tailstest.core.events import Events
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.settings import Settings
from tailstest.guest.answers import AgentInfo, FileStatus
from tailstest.guest.errors import GuestPathMissing, GuestRefused
from tailstest.guest.results import Completed
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.inside import Inside
from tailstest.suite.late_patch import LatePatch
from tailstest.suite.patch_sources import Patch, read_patches
from tailstest.suite.session import Session

ODD = "a file\nwith = and ü"


class Guest:
    """Keeps files as path to (content, mode); remembers commands."""

    def __init__(self, **files):
        self.files = {f"/{name}": content for name, content in files.items()}
        self.modes, self.owners, self.commands = {}, {}, []
        self.boot_id = "first"
        self.is_full = False

    def wait_ready(self, _deadline=None):
        return AgentInfo(1, "", 1, 0, self.boot_id, 0.0)

    def ping(self):
        return 0.1

    def stat(self, path):
        if path not in self.files:
            raise GuestPathMissing(path)
        uid, gid = self.owners.get(path, (0, 0))
        kind = "folder" if self.files[path] is None else "file"
        return FileStatus(kind, 1, 0o100000 | self.modes.get(path, 0o644), uid, gid, 0.0, "")

    def put(self, data, target, mode=0o644, *, parents, within):
        assert parents
        if self.is_full:
            raise GuestRefused("the guest says: No space left on device")
        self.files[target] = data.read_bytes() if isinstance(data, Path) else data
        self.modes[target] = mode

    def run(self, command, *, within):
        self.commands.append(command)
        return Completed(tuple(command), 0, b"", b"", 0.1)


def patched(patches, guest, warnings=None):
    events = Events()
    if warnings is not None:
        events.subscribe(lambda event: warnings.append((event.level, event.text)))
    late = LatePatch(patches, events)
    late.begin_machine("agent", "one")
    late.apply(guest, guest.wait_ready(), "one")
    return late


# Files and folders


def test_a_file_gets_to_its_place_and_a_folder_with_all_that_is_in_it(tmp_path):
    (tmp_path / "fix.py").write_text("fixed")
    deep = tmp_path / "tree" / "usr" / "bin"
    deep.mkdir(parents=True)
    (deep / "tool").write_text("#!/bin/sh\n")
    (deep / "tool").chmod(0o700)
    (deep / "link").symlink_to("tool")
    (deep / "folder-link").symlink_to("../share")
    guest = Guest()
    found = read_patches([f"{tmp_path}/fix.py=/usr/lib/", f"{tmp_path}/tree=/"])
    patched(found, guest)
    assert guest.files == {"/usr/lib/fix.py": b"fixed", "/usr/bin/tool": b"#!/bin/sh\n"}
    # Other users of the guest must be able to run what only its owner can run here.
    assert guest.modes == {"/usr/lib/fix.py": 0o644, "/usr/bin/tool": 0o755}
    assert ["ln", "-sfn", "--", "tool", "/usr/bin/link"] in guest.commands
    assert ["ln", "-sfn", "--", "../share", "/usr/bin/folder-link"] in guest.commands


def test_names_may_have_equals_signs_on_either_side(tmp_path):
    odd = tmp_path / "a=b"
    odd.write_text("x")
    assert read_patches([f"{odd}=/etc/c=d"])[0].target == "/etc/c=d"
    (tmp_path / "x=").mkdir()
    (tmp_path / "x=" / "y").write_text("x")
    found = read_patches([f"{tmp_path}/x=/y=/etc/y"])[0]
    assert (found.target, found.origin) == ("/etc/y", f"{tmp_path}/x=/y")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nowhere.py=/x", "nowhere.py does not exist"),
        ("{here}/file=etc/x", "is not absolute"),
        ("{here}/file", '"="'),
        ("=/etc/x", '"="'),
        ("{here}/file=/etc/../x", '".."'),
        ("{here}/empty=/etc", "no file in"),
        ("{here}/pipe=/etc/x", "neither a file nor a folder"),
        ("{here}/with-pipe=/etc/x", "no plain file"),
        ("{here}/broken=/etc/x", "does not exist"),
    ],
)
def test_what_cannot_be_put_is_named_with_its_option(tmp_path, text, said):
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "with-pipe").mkdir()
    (tmp_path / "broken").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "with-pipe" / "pipe")
    text = text.format(here=tmp_path)
    with pytest.raises(UsageError) as error:
        read_patches([text])
    assert str(error.value).startswith(f"--late-patch {text}")
    assert said in str(error.value)
    assert error.value.exit_status == 2


# Git


def git(folder, *words):
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    """Return a repository with two commits; root/ mirrors the root of a guest."""
    top = tmp_path / "repository"
    root = top / "root"
    (root / "etc").mkdir(parents=True)
    git(tmp_path, "init", "-q", "-b", "main", "repository")
    for name in ("etc/stays", "etc/goes", "etc/changes"):
        (root / name).write_text("before")
    (top / "README").write_text("before")
    git(top, "add", ".")
    git(top, "commit", "-q", "-m", "one")
    git(top, "tag", "one")
    (root / "etc" / "goes").unlink()
    (root / "etc" / "changes").write_text("after")
    (root / "etc" / ODD).write_text("odd")
    (root / "etc" / "link").symlink_to("changes")
    (root / "tool").write_text("run me")
    (root / "tool").chmod(0o755)
    (top / "README").write_text("after")
    git(top, "add", ".")
    git(top, "commit", "-q", "-m", "two")
    return top


def test_a_range_gives_what_changed_in_it_below_its_folder(repository):
    # What is in the working tree now does not count: the range ends at a commit.
    (repository / "root" / "etc" / "changes").write_text("not committed")
    found = read_patches([], "one..main", [f"{repository}/root=/"])
    what = {patch.target: (patch.content, patch.is_executable, patch.link) for patch in found}
    assert what == {
        "/etc/changes": (b"after", False, ""),
        f"/etc/{ODD}": (b"odd", False, ""),
        "/etc/goes": (None, False, ""),
        "/etc/link": (None, False, "changes"),
        "/tool": (b"run me", True, ""),
    }
    guest = Guest(**{"etc/goes": b"before", "etc/changes": b"before"})
    warnings = []
    patched(found, guest, warnings)
    assert ["rm", "-f", "--", "/etc/goes"] in guest.commands
    assert guest.files[f"/etc/{ODD}"] == b"odd"
    assert len(warnings) == 5
    assert {level for level, _text in warnings} == {"warning"}
    for patch in found:
        assert any(patch.target in text for _level, text in warnings)


def test_a_single_commit_means_all_since_then_in_the_working_tree(repository, monkeypatch):
    # A hook of git sets this, and another repository would be asked.
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    (repository / "root" / "etc" / "changes").write_text("not committed")
    guest = Guest()
    patched(read_patches([], "main", [f"{repository}/root/etc=/srv/etc"]), guest)
    assert guest.files == {"/srv/etc/changes": b"not committed"}


def test_a_file_that_is_named_wins_over_the_range(repository, tmp_path):
    (tmp_path / "mine").write_text("mine")
    found = read_patches([f"{tmp_path}/mine=/tool"], "one..", [f"{repository}/root=/"])
    assert [patch.content for patch in found if patch.target == "/tool"] == [tmp_path / "mine"]


@pytest.mark.parametrize(
    ("revisions", "trees", "said"),
    [
        ("one..main", [], "--late-patch-tree"),
        (None, ["{top}=/"], "--late-patch-git"),
        ("one..none", ["{top}=/"], 'has no commit "none"'),
        ("--output=x", ["{top}=/"], "not a range"),
        ("a..b..c", ["{top}=/"], "not a range"),
        ("", ["{top}=/"], "not a range"),
        ("main..main", ["{top}=/"], "nothing changed below"),
        ("one..main", ["{top}/nowhere=/"], "there is no folder"),
        ("one..main", ["{top}=etc"], "not absolute"),
        ("one..main", ["{top}/..=/"], "not a git repository"),
    ],
)
def test_a_wrong_range_or_repository_is_named(repository, revisions, trees, said):
    trees = [text.format(top=repository) for text in trees]
    with pytest.raises(UsageError, match=said) as error:
        read_patches([], revisions, trees)
    assert "--late-patch-" in str(error.value)
    assert not Path("x").exists()


# In the guest


def test_it_is_done_once_for_each_start_before_anybody_uses_the_inside():
    guest, warnings, events = Guest(), [], Events()
    events.subscribe(lambda event: warnings.append(event.text))
    late = LatePatch([Patch("/etc/x", "x", b"new")], events)
    inside = Inside(
        lambda: guest,
        deadline_scale=1.0,
        default_deadline=0.3,
        events=events,
        on_ready=lambda channel, info: late.apply(channel, info, "one"),
    )
    assert inside.channel.files == {"/etc/x": b"new"}
    guest.files["/etc/x"] = b"changed by a step"
    assert inside.channel.files == {"/etc/x": b"changed by a step"}
    guest.boot_id = "second"  # restarted, so that its memory is gone
    assert inside.channel.files == {"/etc/x": b"new"}
    assert len(warnings) == 2


def test_a_step_that_only_looks_at_the_desktop_brings_it_too_after_a_restart(tmp_path):
    guest, events = Guest(), Events()
    session = Session(
        settings=Settings(),
        events=events,
        evidence=EvidenceFolder(tmp_path),
        suite=tmp_path,
        images=[],
        late_patch=LatePatch([Patch("/etc/x", "x", b"new")], events),
    )
    desktop = SimpleNamespace(users=("live",), find=("tree",))
    times = SimpleNamespace(boot=1.0, desktop=1.0)
    session.choice._chosen = (tmp_path, SimpleNamespace(desktop=desktop, times=times))
    parts = dict.fromkeys(
        ("keyboard", "pointer", "tester", "deadline_scale", "default_deadline"), 1
    )
    session.station.machine = SimpleNamespace(
        name="one",
        guest=guest,
        screen=SimpleNamespace(watches=[]),
        definition=MachineDefinition(),
        **parts,
    )
    for guest.boot_id in ("first", "second"):
        guest.files.clear()
        _ = session.desktop
        assert guest.files == {"/etc/x": b"new"}


def test_a_file_keeps_how_strict_it_was_and_whose():
    guest = Guest(**{"etc/shadow": b"", "usr/bin/tool": b"", "etc/script": b""})
    guest.modes = {"/etc/shadow": 0o640, "/usr/bin/tool": 0o4755, "/etc/script": 0o750}
    guest.owners = {"/etc/shadow": (0, 42)}
    new = [
        Patch("/etc/shadow", "x", b""),
        Patch("/usr/bin/tool", "x", b"", is_executable=True),
        Patch("/etc/script", "x", b""),
    ]
    patched(new, guest)
    assert guest.modes == {"/etc/shadow": 0o640, "/usr/bin/tool": 0o755, "/etc/script": 0o640}
    assert guest.commands == [["chown", "-h", "--", "0:42", "/etc/shadow"]]


def test_a_guest_that_does_not_take_it_is_no_failure_of_the_image():
    guest = Guest()
    guest.is_full = True
    with pytest.raises(UsageError, match=r"--late-patch: /etc/x .*fix\.py.*No space left") as error:
        patched([Patch("/etc/x", "fix.py", b"")], guest)
    assert error.value.exit_status == 2
    with pytest.raises(UsageError, match=r"/etc/x .*it is a folder"):
        patched([Patch("/etc/x", "fix.py", b"")], Guest(**{"etc/x": None}))


def test_an_image_without_a_way_in_is_refused_before_it_starts():
    late = LatePatch([Patch("/etc/x", "x", b"")], Events())
    with pytest.raises(UsageError, match=r"--late-patch.*no.*way into this image"):
        late.begin_machine("none", "one")
    LatePatch([], Events()).begin_machine("none", "one")


def test_the_report_says_that_the_image_is_not_what_it_was_or_that_it_was():
    warnings, events = [], Events()
    events.subscribe(lambda event: warnings.append((event.level, event.text)))
    late = LatePatch([Patch("/etc/x\x1b[31m", "x", b"")], events)
    late.announce()
    assert warnings[0][0] == "warning"
    assert "not tested as it is" in warnings[0][1]
    assert "/etc/x" in warnings[0][1]
    assert "\x1b" not in warnings[0][1]
    late.begin_machine("agent", "one")
    late.end_machine("one")  # no step looked inside
    assert "nothing was changed in this guest" in warnings[1][1]
    late.begin_machine("agent", "one")
    guest = Guest()
    late.apply(guest, guest.wait_ready(), "one")
    late.end_machine("one")
    late.end_machine("one")
    assert len(warnings) == 3
    none = LatePatch([], events)
    none.announce()
    none.begin_machine("agent", "one")
    none.end_machine("one")
    assert len(warnings) == 3
