"""Dask's scheduler and workers in this process: out of reach of others."""

import socket
import subprocess
import sys

import pytest

from tailstest.suite.spread.cluster import local_cluster

LOOK = """
import sys
from pathlib import Path
import psutil
from tailstest.suite.spread.cluster import local_cluster

with local_cluster(2, Path(sys.argv[1])) as client:
    assert client.submit(sum, [1, 2]).result() == 3
    found = psutil.Process().net_connections()
    print([each.laddr for each in found if each.status == psutil.CONN_LISTEN])
"""


@pytest.fixture
def port_8787():
    """The port that Dask likes is taken, by us or by somebody else."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("0.0.0.0", 8787))
            taken.listen()
        except OSError:
            pass
        yield


def test_nothing_listens_and_a_port_that_is_taken_is_no_matter(tmp_path, port_8787):
    done = subprocess.run(
        [sys.executable, "-c", LOOK, tmp_path], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("[]\n", "", 0)


def test_each_worker_runs_one_task_at_a_time(tmp_path):
    with local_cluster(3, tmp_path) as client:
        assert list(client.nthreads().values()) == [1, 1, 1]
        assert all(each.startswith("inproc://") for each in client.nthreads())
