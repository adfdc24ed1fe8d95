"""Whose a socket is: by what the host's own `ss` says of ours, and by what a guest may say."""

import os
import shlex
import socket
import subprocess
from types import SimpleNamespace

import pytest

from tailstest.core.errors import InfrastructureError
from tailstest.machine.socket_owners import owners_in, socket_owners


class Channel:
    """Runs commands on this host instead of in a guest."""

    def run(self, command, *, limit, **_options):
        done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True)
        return SimpleNamespace(out=done.stdout[:limit])


def test_open_sockets_are_found_with_who_has_them():
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as questions,
        socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as server,
    ):
        questions.connect(("127.0.0.1", 53))
        server.bind(("::1", 0))
        server.listen()
        owners = socket_owners(Channel)
        assert owners["udp", questions.getsockname()[1]].endswith(f"(process {os.getpid()})")
        assert owners["tcp", server.getsockname()[1]].endswith(f"(process {os.getpid()})")


def test_a_guest_that_does_not_answer_is_no_other_failure():
    class Dead:
        def run(self, *_arguments, **_options):
            raise InfrastructureError("the agent is gone")

    assert socket_owners(Dead) == {}


@pytest.mark.parametrize(
    "said",
    [
        "",
        "ss: command not found",
        "udp UNCONN 0 0 0.0.0.0:68 0.0.0.0:*",  # of a program that one may not see
        'udp UNCONN 0 0 0.0.0.0:x 0.0.0.0:* users:(("a",pid=1,fd=3))',
    ],
)
def test_what_tells_nothing_names_nobody(said):
    assert owners_in(said) == {}


def test_a_name_is_text_and_bounded():
    line = 'udp UNCONN 0 0 10.0.0.9%eth0:40000 10.0.0.1:53 users:(("\x1b[2J{}",pid=7,fd=3))'
    (owner,) = owners_in(line.format("n" * 500)).values()
    assert "\x1b" not in owner
    assert len(owner) < 80
