"""One random moment of each kind of the fault drill; `fault_drill.py` by itself does many."""

import os
import subprocess

import pytest
from fault_drill import KINDS, Drill

pytestmark = pytest.mark.e2e

#: Which moments; DRILL_SEED chooses others.
SEED = int(os.environ.get("DRILL_SEED", "1"))


@pytest.fixture
def drill(tmp_path):
    print(f"DRILL_SEED={SEED}")  # shown when the test fails
    made = Drill(tmp_path / "drill", SEED)
    yield made
    made.close()


@pytest.mark.parametrize("kind", ["worker", "client", "qemu"])
def test_a_kill_at_a_random_moment_loses_nothing_and_leaves_nothing(drill, kind):
    assert KINDS[kind](drill)


def test_a_full_disk_loses_nothing_and_leaves_nothing(drill, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tailstest", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    subprocess.run(["umount", str(disk)], check=True)
    assert KINDS["disk"](drill)
