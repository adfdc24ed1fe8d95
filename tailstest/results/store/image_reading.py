"""Reading what an image is made of; only where a run begins, because it takes a library to load."""

from __future__ import annotations

import hashlib
import re
import struct
from pathlib import Path, PurePosixPath

from tailstest.core.errors import UsageError
from tailstest.media.iso_tree import IsoTree
from tailstest.results.store.contents_file import MAX_PACKAGE, MAX_PATH
from tailstest.results.store.image_contents import ImageContents
from tailstest.results.store.kept_texts import storable

#: Bytes of the largest file whose digest is kept: kernels and initial RAM disks are smaller, file
#: systems of a live system are larger and differ in every image.
LARGEST = 64 * 1024 * 1024
#: Packages and files kept of one image. A desktop has some 2,000 packages.
MAX_PACKAGES = 20_000
MAX_FILES = 20_000
#: Bytes of a list of packages; Debian's desktop lists have 0.1 MB.
MAX_LIST = 16 * 1024 * 1024

#: Lists of packages inside of live images (live-build, Ubuntu's, ours), and beside them (Tails).
_LIST_INSIDE = re.compile(r"^/(live|casper|\.disk)/([\w.-]*\.(packages|manifest)|manifest\.txt)$")
_LISTS_BESIDE = (".packages", ".manifest")
#: "name version" or "name:architecture version", as dpkg-query prints them.
_PACKAGE = re.compile(r"^([a-z0-9][a-z0-9.+-]+)(?::[a-z0-9-]+)?[ \t]+([0-9][^\s]*)\s*$")
_KERNEL = re.compile(r"^(vmlinuz|bzimage|linux)([-.].*)?$", re.IGNORECASE)


def read_contents(image: Path) -> ImageContents:
    """Read what an ISO image is made of, without starting it.

    Raises:
        UsageError: it is no ISO image, or damaged.
    """
    found = ImageContents()
    with IsoTree(image) as tree:
        for entry, data in tree.contents(largest=LARGEST):
            if len(found.files) >= MAX_FILES:
                break
            digest = hashlib.sha256(data).hexdigest() if data is not None else ""
            found.files[storable(entry.path, MAX_PATH)[:MAX_PATH]] = (entry.size, digest)
            if data is None:
                continue
            if _KERNEL.match(PurePosixPath(entry.path).name):
                found.kernel = found.kernel or kernel_version(data)
            if _LIST_INSIDE.match(entry.path) and not found.packages:
                found.packages = package_list(data)
                found.packages_from = storable(entry.path) if found.packages else ""
    _look_beside(image, found)
    return found


def kernel_version(data: bytes) -> str:
    """Return the version in a kernel's file, "" when it is none of x86.

    The header is described at https://www.kernel.org/doc/html/latest/arch/x86/boot.html: "HdrS"
    at 0x202, and at 0x20e where the text stands, less 0x200.
    """
    if len(data) < 0x210 or data[0x202:0x206] != b"HdrS":
        return ""
    (place,) = struct.unpack_from("<H", data, 0x20E)
    text = data[place + 0x200 : place + 0x200 + 256].split(b"\0", 1)[0]
    return storable(text.decode("ascii", "replace").split(" ", 1)[0], 100) if place else ""


def package_list(data: bytes) -> dict[str, str]:
    """Return the versions in a list of packages; lines of another form are skipped."""
    found: dict[str, str] = {}
    for line in data[:MAX_LIST].decode("utf-8", "replace").splitlines():
        match = _PACKAGE.match(line)
        if match and len(found) < MAX_PACKAGES:
            found[match[1][:MAX_PACKAGE]] = match[2][:MAX_PACKAGE]
    return found


def _look_beside(image: Path, found: ImageContents) -> None:
    if found.packages:
        return
    for suffix in _LISTS_BESIDE:
        for file in (image.with_name(image.name + suffix), image.with_suffix(suffix)):
            try:
                with file.open("rb") as opened:
                    found.packages = package_list(opened.read(MAX_LIST))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise UsageError(f"{file}: cannot be read: {error.strerror}") from error
            if found.packages:
                found.packages_from = storable(file.name)
                return
