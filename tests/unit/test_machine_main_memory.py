"""The memory of a machine: held from the start on, searched as it is, never taken for clean unseen.

A file without a name, made as QEMU makes it, stands for the guest's memory.
"""

import contextlib
import os
from types import SimpleNamespace

import pytest

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.machine import main_memory
from tailstest.machine.main_memory import MainMemory
from tailstest.media.pattern_search import forms_of

SIZE = 16 << 20
NEEDLES = forms_of("a secret of the guest")


@pytest.fixture
def qemu(monkeypatch):
    """Let our own process be QEMU; return what makes a memory in it."""
    made = []

    def memory(name="memory-backend-memfd", size=SIZE):
        descriptor = os.memfd_create(name)
        os.truncate(descriptor, size)
        made.append(descriptor)
        return descriptor

    process = SimpleNamespace(pid=os.getpid())
    monkeypatch.setattr(main_memory, "qemu_process", lambda _domain: process)
    yield memory
    for descriptor in made:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def test_it_is_searched_as_it_is_also_when_qemu_is_gone(qemu):
    writing = qemu()
    os.pwrite(writing, os.urandom(1 << 20), 0)
    memory = MainMemory("domain", SIZE)
    memory.hold()
    assert not memory.search(NEEDLES).found
    os.pwrite(writing, "a secret of the guest".encode("utf-16-le"), 12345)
    os.close(writing)
    found = memory.search(NEEDLES)
    assert found.copies["UTF-16"].first == (12345,)
    assert found.size == SIZE
    memory.forget()
    with pytest.raises(UsageError, match="never switched on"):
        memory.search(NEEDLES)


@pytest.mark.parametrize(("name", "size"), [("other", SIZE), ("memory-backend-memfd", SIZE * 2)])
def test_what_is_not_its_memory_is_not_taken_for_it(qemu, name, size):
    qemu(name, size)
    memory = MainMemory("domain", SIZE)
    memory.hold()
    with pytest.raises(InfrastructureError, match="does not keep it in a file"):
        memory.search(NEEDLES)


def test_a_machine_that_was_not_made_for_it_says_what_to_do(qemu):
    qemu()
    memory = MainMemory("domain", SIZE, is_searchable=False)
    memory.hold()
    with pytest.raises(UsageError, match="nobody said so before it started") as trouble:
        memory.search(NEEDLES)
    assert '@asks_for("main memory")' in trouble.value.hint


def test_an_empty_memory_is_trouble_and_not_clean(qemu):
    qemu()
    memory = MainMemory("domain", SIZE)
    memory.hold()
    with pytest.raises(InfrastructureError, match="holds only 0 bytes"):
        memory.search(NEEDLES)
    memory.forget()


def test_a_machine_without_a_process_is_told_when_it_is_searched():
    gone = SimpleNamespace(
        UUIDString=lambda: "no-such-uuid",
        connect=lambda: SimpleNamespace(getURI=lambda: "qemu:///embed?root=/run/none"),
    )
    memory = MainMemory(gone, SIZE)
    memory.hold()
    with pytest.raises(InfrastructureError, match="process of the virtual machine"):
        memory.search(NEEDLES)
