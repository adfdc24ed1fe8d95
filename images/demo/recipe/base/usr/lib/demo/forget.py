"""Free all memory that may hold anything of the user, as the last act before the power goes off.

The kernel wipes what is freed (its parameter init_on_free=1). Nothing here needs the boot medium,
which may be gone: the watch over it has all of this in memory.
"""

import ctypes
import fcntl
import os
import signal
import stat
import struct
import time

STORAGE, MAPPED = b"/home/live/Persistent", b"demo-data"
MNT_DETACH = 2  # mount.h
DM_DEV_REMOVE, DM_VERSION, DM_SIZE = 0xC138FD04, (4, 0, 0), 312  # linux/dm-ioctl.h

libc = ctypes.CDLL(None)


def end_programs(within=3):
    """End all programs but the first one and this one; what is started anew has seen nothing."""
    until = time.monotonic() + within
    programs = others()
    while programs and time.monotonic() < until:
        os.kill(-1, signal.SIGKILL)
        time.sleep(0.02)
        programs &= others()


def others():
    """Return the numbers of the programs that have memory, but for the first one and this one."""
    found = set()
    for number in os.listdir("/proc"):
        if number.isdigit() and int(number) not in (1, os.getpid()):
            try:
                with open(f"/proc/{number}/statm") as file:
                    if not file.read().startswith("0 "):
                        found.add(number)
            except OSError:
                pass
    return found


def close_storage():
    """Let go of the persistent storage: what was read from it, and its key."""
    libc.umount2(STORAGE, MNT_DETACH)
    fields = (*DM_VERSION, DM_SIZE, DM_SIZE, 0, 0, 0, 0, 0, 0, MAPPED)
    try:
        with open("/dev/mapper/control", "rb+", buffering=0) as control:
            fcntl.ioctl(control, DM_DEV_REMOVE, bytearray(struct.pack("=10IQ128s", *fields).ljust(DM_SIZE, b"\0")))
    except OSError:
        pass  # there is none


def empty_memory_file_systems():
    """Empty all files that are kept in memory, also those that the system itself still has open."""
    with open("/proc/mounts") as file:
        mounts = [line.split() for line in file]
    for place in [fields[1] for fields in mounts if fields[2] == "tmpfs"]:
        empty(place)


def empty(place):
    """Empty the files of one file system."""
    try:
        device = os.lstat(place).st_dev
    except OSError:
        return
    for folder, folders, files in os.walk(place):
        folders[:] = [name for name in folders if is_on(device, os.path.join(folder, name))]
        for path in (os.path.join(folder, name) for name in files):
            try:
                if stat.S_ISREG(os.lstat(path).st_mode):
                    os.truncate(path, 0)  # frees it whoever has it open; removing would not
                os.unlink(path)
            except OSError:
                pass


def is_on(device, path):
    try:
        return os.lstat(path).st_dev == device
    except OSError:
        return False


def drop_caches():
    """Let go of what was read from media."""
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3")


def everything():
    """Forget everything."""
    for part in (end_programs, close_storage, empty_memory_file_systems, drop_caches):
        try:
            part()
        except OSError:
            pass
