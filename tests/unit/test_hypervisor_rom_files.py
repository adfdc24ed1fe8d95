"""Which files of firmware machines get, as far as QEMU tells."""

import os
from pathlib import Path

import pytest

from tailstest.core.errors import InfrastructureError
from tailstest.hypervisor.rom_files import rom_files


@pytest.fixture
def emulator(tmp_path):
    """Return a program that names two folders as QEMU does, of which one is missing."""
    folder = tmp_path / "seabios"
    folder.mkdir()
    (folder / "bios.bin").write_bytes(b"one")
    program = tmp_path / "qemu"
    program.write_text(
        f"#!/bin/sh\n[ \"$*\" = '-L help' ] && printf '%s\\n' {folder} {tmp_path}/missing\n"
    )
    program.chmod(0o755)
    return program


def test_another_file_and_another_package_are_told_apart(emulator, tmp_path):
    bios = tmp_path / "seabios" / "bios.bin"
    first = rom_files(emulator)
    assert [Path(path).name for path, _size, _time in first] == ["bios.bin"]
    assert rom_files(emulator) == first
    bios.write_bytes(b"other")
    second = rom_files(emulator)
    os.utime(bios, (1, 1))
    third = rom_files(emulator)
    (tmp_path / "seabios" / "vgabios.bin").touch()
    assert len({str(each) for each in (first, second, third, rom_files(emulator))}) == 4


def test_what_is_elsewhere_counts_if_it_is_there(emulator, tmp_path):
    code, missing = tmp_path / "CODE.fd", tmp_path / "VARS.fd"
    code.write_bytes(b"uefi")
    assert (str(code), 4, code.stat().st_mtime_ns) in rom_files(emulator, [code, missing])
    assert len(rom_files(emulator, [code, missing])) == 2


@pytest.mark.parametrize("program", ["/bin/false", "/gone"])
def test_a_qemu_that_does_not_tell_is_trouble(program):
    with pytest.raises(InfrastructureError, match=f"^{program} -L help"):
        rom_files(Path(program))


def test_the_qemu_of_this_host_has_a_bios():
    names = {
        Path(path).name for path, _size, _time in rom_files(Path("/usr/bin/qemu-system-x86_64"))
    }
    assert {"bios-256k.bin", "vgabios-stdvga.bin"} <= names
