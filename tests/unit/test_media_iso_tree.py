"""Files of an ISO image by Rock Ridge, Joliet or plain names (case C49), and damaged images."""

import io
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycdlib.pycdlib import PyCdlib

from tailstest.core.errors import UsageError
from tailstest.media.iso_tree import IsoEntry, IsoTree

LONG = "Größe und ein sehr langer Name, der über vierundsechzig Zeichen lang ist und länger.text"
SQUASHFS = "/live/filesystem.squashfs"
DEEP = "/a/b/c/d/e/f/g/h/i/j/deep"

ROCK_RIDGE = ["-rockridge", "on"]
KINDS = {
    "both": ([*ROCK_RIDGE, "-joliet", "on"], "Rock Ridge"),
    "rock ridge": (ROCK_RIDGE, "Rock Ridge"),
    "joliet": (["-rockridge", "off", "-joliet", "on"], "Joliet"),
    "plain": (["-rockridge", "off"], "plain"),
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Return a function from a kind to an image with the same files."""
    folder = tmp_path_factory.mktemp("iso")
    source = folder / "source"
    (source / "live").mkdir(parents=True)
    (source / SQUASHFS[1:]).write_bytes(b"squash")
    (source / "hard").hardlink_to(source / SQUASHFS[1:])
    (source / "link").symlink_to("live/filesystem.squashfs")
    (source / LONG).write_text("long")
    (source / DEEP[1:]).parent.mkdir(parents=True)
    (source / DEEP[1:]).write_text("deep")
    made = {}

    def image(kind):
        if kind not in made:
            made[kind] = folder / f"{kind}.iso"
            options = KINDS[kind][0]
            command = ["xorriso", *options, "-outdev", made[kind], "-map", source, "/", "-commit"]
            subprocess.run(command, check=True, capture_output=True)
        return made[kind]

    return image


def listed(path):
    with IsoTree(path) as tree:
        return {entry.path: entry for entry in tree.entries()}


@pytest.mark.parametrize("kind", KINDS)
def test_the_best_names_that_the_image_has_are_used_and_said(images, kind):
    with IsoTree(images(kind)) as tree:
        assert tree.names == KINDS[kind][1]
        assert tree.find(SQUASHFS).size == 6
        assert tree.read(SQUASHFS) == b"squash"
        assert tree.read(SQUASHFS[1:]) == b"squash"
        assert tree.read(DEEP) == b"deep"


def test_rock_ridge_has_whole_names_and_links(images):
    for kind in ("both", "rock ridge"):
        entries = listed(images(kind))
        assert entries["/" + LONG] == IsoEntry("/" + LONG, "file", size=4)
        assert entries["/link"] == IsoEntry("/link", "link", target="live/filesystem.squashfs")
        assert entries["/hard"].size == 6
        assert entries["/live"].kind == "folder"


def test_joliet_cuts_long_names_and_has_no_links(images):
    entries = listed(images("joliet"))
    (cut,) = [path for path in entries if path.startswith("/Größe")]
    assert len(cut) < len(LONG)
    assert "/link" not in entries


def test_plain_names_are_found_in_small_letters_without_their_version(images):
    entries = listed(images("plain"))
    assert "/LIVE/FILESYSTEM.SQUASHFS" in entries
    assert not [path for path in entries if ";" in path or path.endswith(".")]
    with IsoTree(images("plain")) as tree:
        assert tree.find("/live/Filesystem.squashfs").path == "/LIVE/FILESYSTEM.SQUASHFS"


def test_folders_that_were_moved_for_rock_ridge_are_where_they_belong(tmp_path):
    iso = PyCdlib()
    iso.new(interchange_level=1, rock_ridge="1.09")
    plain = ""
    posix = ""
    for number in range(9):
        plain, posix = f"{plain}/D{number}", f"{posix}/d{number}"
        iso.add_directory(plain, rr_name=f"d{number}")
    iso.add_fp(io.BytesIO(b"moved"), 5, f"{plain}/FILE.;1", rr_name="file")
    iso.write(str(tmp_path / "moved.iso"))
    iso.close()
    with IsoTree(tmp_path / "moved.iso") as tree:
        assert tree.read(f"{posix}/file") == b"moved"


def test_what_is_not_there_is_said_with_whose_names_were_searched(images):
    with IsoTree(images("joliet")) as tree:
        with pytest.raises(UsageError, match="Joliet names"):
            tree.find("/live/vmlinuz")
        with pytest.raises(UsageError, match="is a folder"):
            tree.read("/live")
        with pytest.raises(UsageError, match="more than 3"):
            tree.read(SQUASHFS, limit=3)


def test_what_is_no_iso_image_is_said(tmp_path):
    disk = bytearray(40 * 2048)
    disk[510:512] = b"\x55\xaa"
    (tmp_path / "disk.img").write_bytes(disk)
    with pytest.raises(UsageError, match="cannot be read as an ISO 9660 image"):
        IsoTree(tmp_path / "disk.img")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_damaged_image_is_one_clear_error_or_read_as_it_is(images, tmp_path, data):
    content = bytearray(images("both").read_bytes())
    for _ in range(data.draw(st.integers(1, 12))):
        place = data.draw(st.integers(16 * 2048, min(len(content), 120 * 2048) - 1))
        content[place] = data.draw(st.integers(0, 255))
    (tmp_path / "damaged.iso").write_bytes(content)
    try:
        listed(tmp_path / "damaged.iso")
    except UsageError as error:
        assert "Traceback" not in str(error)
