"""What others encrypted is looked into as what we did ourselves, or said to be out of reach."""

import os
import subprocess

import pytest

from tailstest.core.errors import CheckFailed, UsageError
from tailstest.media.stick_content import luks
from tailstest.media.stick_content.inspection import StickInspection
from tailstest.media.stick_content.luks import CRYPTSETUP, layout_of
from tailstest.media.stick_content.sparse import make_sparse
from tailstest.media.usb_stick import QEMU_IMG, UsbStick

MIB = 1 << 20
WORD = "correct horse"
#: Guessing is made cheap.
FAST = ["--batch-mode", "--pbkdf-force-iterations", "1000", "--key-file", "-"]


@pytest.fixture
def plain(tmp_path):
    """Return a file of 64 MiB whose first 48 MiB are a file system with a letter in it."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "letter").write_text("Dear friend")
    file = make_sparse(tmp_path / "plain", 64 * MIB)
    words = ["-q", "-F", "-b", "4096", "-t", "ext4", "-d", str(tmp_path / "files"), str(file)]
    subprocess.run(["/sbin/mke2fs", *words, "48M"], check=True)
    return file


def as_luks1(plain):
    """Encrypt it with QEMU's own code behind a header as cryptsetup makes it by itself."""
    secret, file = plain.with_name("secret"), make_sparse(plain.with_name("encrypted"), 66 * MIB)
    secret.write_text(WORD)
    CRYPTSETUP.run("luksFormat", "--type", "luks1", *FAST, str(file), stdin=WORD.encode())
    QEMU_IMG.run(
        *("convert", "-n", "-f", "raw", "--object", f"secret,id=s,file={secret}", str(plain)),
        *("--target-image-opts", f"driver=luks,key-secret=s,file.filename={file}"),
    )
    return file


def in_large_sectors(plain):
    """Encrypt it in place with cryptsetup, as LUKS2."""
    if os.geteuid() != 0:
        pytest.skip("cryptsetup wants a block device, and only root has loop devices")
    words = ("--type", "luks2", "--reduce-device-size", "16M", "--sector-size", "4096")
    words += ("--pbkdf", "pbkdf2", *FAST, str(plain))
    CRYPTSETUP.run("reencrypt", "--encrypt", *words, stdin=WORD.encode())
    return plain


@pytest.mark.parametrize("encrypt", [as_luks1, in_large_sectors])
def test_what_others_encrypted_is_looked_into(tmp_path, plain, encrypt):
    file = encrypt(plain)
    assert layout_of(file).offset != luks.PAYLOAD
    with StickInspection.of(UsbStick.of_image(file, tmp_path / "s.qcow2")) as seen:
        assert seen.file_system(1, WORD).kind == "ext4"
        assert seen.read(1, "letter", WORD) == b"Dear friend"
        with pytest.raises(CheckFailed, match="does not open"):
            seen.read(1, "letter", "wrong")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--type", "luks1", "--cipher", "aes-cbc-essiv:sha256"], "aes-cbc-essiv:sha256"),
        (
            ["--type", "luks2", "--pbkdf", "pbkdf2", "--cipher", "aes-xts-plain"],
            "aes-xts-plain",
        ),
    ],
)
def test_what_cannot_be_looked_into_is_no_garbage(tmp_path, words, said):
    file = make_sparse(tmp_path / "file", 32 * MIB)
    CRYPTSETUP.run("luksFormat", "--key-size", "256", *words, *FAST, str(file), stdin=WORD.encode())
    with StickInspection.of(UsbStick.of_image(file, tmp_path / "s.qcow2")) as seen:
        assert seen.opens(1, WORD)
        with pytest.raises(UsageError, match=f"encrypted with {said}, ") as caught:
            seen.file_system(1, WORD)
        assert "cannot be looked into" in caught.value.message


@pytest.mark.parametrize("offset", [0, 1 << 31])
def test_a_header_that_lies_is_no_trouble(tmp_path, plain, offset):
    file = as_luks1(plain)
    with file.open("r+b") as header:  # LUKS1 On-Disk Format Specification 1.2.3, figure 1
        header.seek(104)
        header.write(offset.to_bytes(4, "big"))
    with pytest.raises(CheckFailed, match=f"begin at {offset * 512}"):
        luks.decrypt_into(file, tmp_path / "out", WORD)
    assert not (tmp_path / "out").exists()
