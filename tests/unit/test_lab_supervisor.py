"""Servers of a lab that are started together."""

import asyncio
import sys

import pytest

from tailstest.lab.network.supervisor import Service, ServiceFailed, Supervisor

#: Says that it is ready when another one says so, too: neither is, if they come one by one.
MEETS = """
import pathlib, sys, time
own, other = map(pathlib.Path, sys.argv[1:])
own.touch()
end = time.monotonic() + 60
while not other.exists() and time.monotonic() < end:
    time.sleep(0.01)
print("ready" if other.exists() else "alone", flush=True)
time.sleep(600)
"""


def meeting(name, own, other):
    return Service(name, [sys.executable, "-c", MEETS, str(own), str(other)], "ready", 90.0)


def started(folder, services):
    async def run():
        supervisor = Supervisor(folder, lambda text: None)
        try:
            await supervisor.start_all(services)
        finally:
            running = set(supervisor.running)
            for name in running:
                await supervisor.stop(name)
        return running

    return asyncio.run(run())


def test_those_that_need_not_wait_for_one_another_are_started_at_once(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    assert started(tmp_path, [meeting("one", a, b), meeting("two", b, a)]) == {"one", "two"}


def test_one_that_does_not_start_is_named(tmp_path):
    a = tmp_path / "a"
    bad = Service("bad", [sys.executable, "-c", "raise SystemExit('no port')"], "ready", 90.0)
    with pytest.raises(ServiceFailed, match=r"server bad ended.*no port"):
        started(tmp_path, [meeting("good", a, a), bad])
