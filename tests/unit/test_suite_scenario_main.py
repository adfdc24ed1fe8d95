"""How a process that runs scenarios ends when whoever started it is gone."""

import signal
import socket
import subprocess
import sys
from multiprocessing.connection import Connection

import pytest

from tailstest.suite.spread.assignment import Assignment

#: A process with parts that take a moment to be put away, and say how far they came.
PROCESS = """
import sys
from pathlib import Path
from tailstest.core.deadline import pause
from tailstest.suite.spread import scenario_main
from tailstest.suite.spread.scenario_process import Ended

class Parts:
    is_over = False

    @classmethod
    def of(cls, assignment, line):
        return cls()

    def run(self, scenario):
        return Ended()

    def close(self):
        note = Path(sys.argv[2])
        note.write_text("begun")
        pause(1.0)
        note.write_text("done")

scenario_main._Parts = Parts
scenario_main.ENDING = 60  # not what is tested, however long this host stalls
scenario_main.main(int(sys.argv[1]))
"""


@pytest.fixture
def process(tmp_path):
    """Start one, let it run a scenario; gives it, its line, and the note of its clean-up."""
    ours, theirs = socket.socketpair()
    note = tmp_path / "note"
    with theirs:
        started = subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(theirs.fileno()), str(note)],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
    line = Connection(ours.detach())
    line.send(Assignment(order=None, folder=tmp_path, root=tmp_path, directory=tmp_path))
    line.send("a scenario")
    line.recv()
    yield started, line, note
    started.kill()
    started.wait()


def test_the_end_of_its_line_does_not_interrupt_the_clean_up_that_it_begins(process):
    started, line, note = process
    line.close()
    started.wait(30)
    assert note.read_text() == "done"


def test_signals_do_not_interrupt_the_clean_up_that_the_first_one_begins(process):
    started, line, note = process
    started.send_signal(signal.SIGTERM)
    while not note.exists():
        assert started.poll() is None
    started.send_signal(signal.SIGTERM)
    line.close()
    started.wait(30)
    assert note.read_text() == "done"
