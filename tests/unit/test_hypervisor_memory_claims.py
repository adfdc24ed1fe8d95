"""Memory of a host is promised once, whoever asks for it."""

import json
import multiprocessing
import os
import subprocess
import sys
import threading

import psutil
import pytest

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.hypervisor import memory_claims
from tailstest.hypervisor.memory_claims import (
    RESERVE,
    HostMemory,
    MemoryClaims,
    host_memory,
    memory_for,
    used_by_qemu,
)


class Host:
    """A host with so much memory, and what its machines use by now."""

    def __init__(self, folder, total=4096 + RESERVE, available=4096):
        self.memory = HostMemory(total, available)
        self.used = {}
        self.folder = folder

    def claims(self, limit=0):
        return MemoryClaims(
            limit, folder=self.folder, measure=lambda: self.memory, used=lambda _markers: self.used
        )


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


class Wanted:
    """Somebody who claims memory in a thread, and maybe waits."""

    def __init__(self, claims, mib, marker="m", has=0):
        self.reasons = []
        self.claim = None
        self.error = None
        self._thread = threading.Thread(
            target=self._run, args=(claims, mib, marker, has), daemon=True
        )
        self._thread.start()

    def _run(self, claims, mib, marker, has):
        try:
            self.claim = claims.claim(mib, marker, self.reasons.append, has=has)
        except (UsageError, InfrastructureError) as error:
            self.error = error

    def waits(self):
        return poll(lambda: self.reasons or None, Deadline.after(10)) is not None

    def has_it(self):
        return poll(lambda: self.claim, Deadline.after(10)) is not None


def claimed(claims, mib, marker="m"):
    wanted = Wanted(claims, mib, marker)
    assert wanted.has_it(), wanted.error
    assert not wanted.reasons
    return wanted.claim


def test_a_machine_needs_more_than_its_guest_has():
    assert memory_for(1024, "kvm", 512) == 1024 + memory_claims.QEMU_OVERHEAD
    assert memory_for(1024, "tcg", 512) == 1024 + memory_claims.QEMU_OVERHEAD + 512


def test_two_that_fit_side_by_side_do_not_wait(host):
    claimed(host.claims(), 2048)
    claimed(host.claims(), 2048)
    assert sum(each.mib for each in host.claims().entries()) == 4096


def test_one_that_does_not_fit_beside_another_waits_until_that_has_ended(host):
    first = claimed(host.claims(), 3000)
    second = Wanted(host.claims(), 2000)
    assert second.waits()
    assert "2000 MiB" in second.reasons[0]
    assert second.claim is None
    first.release()
    assert second.has_it()
    assert second.reasons[-1] == ""
    assert [each.mib for each in host.claims().entries()] == [2000]


def test_what_is_promised_and_not_yet_used_is_not_given_away_again(host):
    host.memory = HostMemory(8192, 4000)  # other programs use a lot
    claimed(host.claims(), 3000, "a")
    second = Wanted(host.claims(), 2000, "b")
    assert second.waits()
    assert "1000 MiB" in second.reasons[0]
    # The first one has touched all of its memory; then what is free is really free.
    host.used = {"a": 3000}
    assert second.has_it()


def test_a_large_one_is_not_overtaken_for_ever(host):
    first = claimed(host.claims(), 1000)
    large = Wanted(host.claims(), 4000)
    assert large.waits()
    small = Wanted(host.claims(), 100)
    assert small.waits()
    assert "behind 1 other" in small.reasons[0]
    first.release()
    assert large.has_it()
    large.claim.release()
    assert small.has_it()


def test_more_than_the_host_has_is_refused_at_once(host):
    with pytest.raises(UsageError, match=r"5000 MiB.*4096 MiB"):
        host.claims().claim(5000, "m", lambda _text: None)
    with pytest.raises(UsageError, match=r"600 MiB.*500 MiB"):
        host.claims(limit=500).claim(600, "m", lambda _text: None)
    assert host.claims().entries() == []


def test_what_two_machines_of_a_run_use_is_taken_off_what_both_were_promised(host):
    host.memory = HostMemory(8192, 2500)
    host.used = {"a": 1500}
    claimed(host.claims(), 1000, "a")
    claimed(host.claims(), 1000, "a")
    # 500 MiB are promised and not used yet, of 2500.
    third = Wanted(host.claims(), 2100, "b")
    assert third.waits()
    host.used = {"a": 2000}
    assert third.has_it()


def test_who_has_some_does_not_wait_long_for_more(host, monkeypatch):
    monkeypatch.setattr(memory_claims, "SHORT_WAIT", 0.2)
    claimed(host.claims(), 2000, "a")
    claimed(host.claims(), 2000, "b")
    more = Wanted(host.claims(), 2000, "a", has=2000)
    assert poll(lambda: more.error, Deadline.after(10)), "both would wait for each other"
    assert isinstance(more.error, InfrastructureError)
    with pytest.raises(UsageError, match=r"the machines need 5000 MiB.*4096 MiB"):
        host.claims().claim(3000, "m", lambda _text: None, has=2000)


def test_a_limit_above_what_the_host_has_changes_nothing(host):
    assert host.claims(limit=10**6).capacity == 4096


def test_nobody_waits_for_ever_for_other_programs(host, monkeypatch):
    monkeypatch.setattr(memory_claims, "SHORT_WAIT", 0.2)
    host.memory = HostMemory(8192, 100)
    wanted = Wanted(host.claims(), 1000)
    assert poll(lambda: wanted.error, Deadline.after(10)), "it still waits"
    assert isinstance(wanted.error, InfrastructureError)
    assert "1000 MiB" in wanted.error.message
    assert host.claims().entries() == []


KILLED = """
import os, signal, sys
from pathlib import Path
from tailstest.hypervisor.memory_claims import HostMemory, MemoryClaims
claims = MemoryClaims(0, folder=Path(sys.argv[1]), measure=lambda: HostMemory(9000, 9000))
claims.claim(3000, "m", print)
print("claimed", flush=True)
sys.stdin.read()
"""


def test_the_claim_of_a_process_that_was_killed_ends_with_it(host):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(host.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "claimed\n"
    second = Wanted(host.claims(), 2000)
    assert second.waits()  # seen by another process
    process.kill()
    assert second.has_it()
    process.communicate()
    assert [each.pid for each in host.claims().entries()] == [os.getpid()]


def test_a_process_that_got_the_number_of_a_dead_one_has_no_claim(host):
    claimed(host.claims(), 3000)
    file = host.folder / "memory-claims.json"
    entries = json.loads(file.read_text())
    entries[0]["started"] -= 100
    file.write_text(json.dumps(entries))
    assert host.claims().entries() == []


@pytest.mark.parametrize("text", ["", "{", "[1, null]", '[{"id": 1}]', '{"a": 1}', "\0" * 50])
def test_a_damaged_file_is_no_claim(host, text):
    (host.folder / "memory-claims.json").write_text(text)
    claimed(host.claims(), 100)
    assert len(host.claims().entries()) == 1


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    claims = Host(tmp_path / "missing").claims()
    with pytest.raises(InfrastructureError, match="how much memory"):
        claims.claim(1, "m", lambda _text: None)


def _claim_and_release(folder, most, results):
    claims = MemoryClaims(0, folder=folder, measure=lambda: HostMemory(1000 + RESERVE, 10**6))
    for _ in range(6):
        claim = claims.claim(most, "m", lambda _text: None)
        granted = sum(each.mib for each in claims.entries() if each.is_granted)
        results.put(granted)
        claim.release()


def test_many_processes_never_hold_more_than_there_is(tmp_path):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [
        context.Process(target=_claim_and_release, args=(tmp_path, 400, results)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    seen = [results.get(timeout=60) for _ in range(18)]
    for process in processes:
        process.join(30)
    assert max(seen) <= 1000
    assert MemoryClaims(0, folder=tmp_path).entries() == []


@pytest.mark.parametrize(
    ("line", "folder", "limit", "used"),
    [
        ("0::/jobs/job_1/step", "jobs/job_1", "memory.max", "memory.current"),
        ("0::/", "", "memory.max", "memory.current"),
        (
            "9:cpu,memory:/docker/x",
            "memory/docker/x",
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
        ),
    ],
)
def test_the_limit_of_a_container_or_a_batch_job_counts(tmp_path, line, folder, limit, used):
    own, groups = tmp_path / "cgroup", tmp_path / "groups"
    own.write_text(f"3:cpu:/elsewhere\n{line}\n")
    (groups / folder).mkdir(parents=True)
    whole = host_memory(own, groups)
    assert (whole.total, whole.available > 64) == (
        host_memory(tmp_path / "none", groups).total,
        True,
    )
    (groups / folder / limit).write_text(f"{64 * 2**20}\n")
    (groups / folder / used).write_text(f"{24 * 2**20}\n")
    assert host_memory(own, groups) == HostMemory(64, 40)
    (groups / folder / limit).write_text("max\n")
    assert host_memory(own, groups).total > 64


def test_the_host_is_really_measured():
    memory = host_memory()
    assert 0 < memory.available <= memory.total <= psutil.virtual_memory().total // 2**20
    assert used_by_qemu([]) == {}
    assert used_by_qemu(["no process has this word"]) == {}
