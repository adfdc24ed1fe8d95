"""Files that do not fit: in the guest, and on the host."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_guest_agent import Guest

from tailstest.core.errors import InfrastructureError
from tailstest.guest.agent import AGENT_FILE
from tailstest.guest.agent_client import AgentClient
from tailstest.guest.errors import GuestRefused

#: Runs a program where `$1` is a disk of one mebibyte, which nobody else sees.
SMALL = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"]
SCRIPT = 'mount -t tmpfs -o size=1m small "$1"; shift; exec "$@"'
BIG = b"x" * (3 << 20)


def small_disk(folder: Path, *command: str) -> list[str]:
    return [*SMALL, SCRIPT, "sh", str(folder), *command]


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Return a folder that is a small disk for what `small_disk` starts."""
    folder = tmp_path / "small"
    folder.mkdir()
    tried = subprocess.run(small_disk(folder, "true"), capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"no namespaces here: {tried.stderr.decode(errors='replace').strip()}")
    return folder


@pytest.fixture
def guest() -> Iterator[Guest]:
    made = Guest(start=False)
    yield made
    made.close()


def begin(guest: Guest, *prefix: str) -> AgentClient:
    port = guest.port.fileno()
    command = [*prefix, sys.executable, "-I", str(AGENT_FILE), f"fd:{port}"]
    guest.process = subprocess.Popen(command, pass_fds=[port])
    return guest.client()


def test_a_full_disk_of_the_guest_is_said_and_leaves_nothing(guest: Guest, disk: Path) -> None:
    client = begin(guest, *small_disk(disk))
    target = f"{disk}/file"
    client.put(b"old", target)
    with pytest.raises(GuestRefused, match="No space left on device") as caught:
        client.put(BIG, target)
    assert target in caught.value.message
    assert [each.name for each in client.list_folder(str(disk))] == ["file"]
    assert client.read(target) == b"old"
    client.put(b"new", target)
    assert client.read(target) == b"new"


def test_a_full_disk_of_the_guest_ends_a_folder_too(
    guest: Guest, disk: Path, tmp_path: Path
) -> None:
    client = begin(guest, *small_disk(disk))
    source = tmp_path / "source"
    source.mkdir()
    (source / "big").write_bytes(BIG)
    with pytest.raises(GuestRefused, match="could not copy the folder") as caught:
        client.put_folder(source, f"{disk}/folder")
    assert "disk of the guest is full" in caught.value.hint
    assert client.run("echo there").stdout == b"there\n"


#: A host whose disk is small: its arguments are the descriptor of the line, the files.
HOST = """
import socket, sys
from pathlib import Path
from tailstest.core.errors import TailstestError
from tailstest.guest.agent_client import AgentClient

line = socket.socket(fileno=int(sys.argv[1]))
client = AgentClient(line.dup)
target = Path(sys.argv[3])
try:
    client.get(sys.argv[2], target)
except TailstestError as error:
    print(type(error).__mro__, error.message)
print(sorted(each.name for each in target.parent.iterdir()))
print(client.read(sys.argv[4]))
client.close()
"""


def test_a_full_disk_of_the_host_is_said_and_leaves_nothing(
    guest: Guest, disk: Path, tmp_path: Path
) -> None:
    begin(guest)
    (tmp_path / "big").write_bytes(BIG)
    (tmp_path / "little").write_bytes(b"still here")
    line = guest.host.fileno()
    words = [str(line), str(tmp_path / "big"), str(disk / "copy"), str(tmp_path / "little")]
    done = subprocess.run(
        small_disk(disk, sys.executable, "-c", HOST, *words),
        pass_fds=[line],
        capture_output=True,
        text=True,
        check=True,
    )
    said, left, read = done.stdout.splitlines()
    assert InfrastructureError.__name__ in said
    assert "No space left on device" in said
    assert (left, read) == ("[]", "b'still here'")
