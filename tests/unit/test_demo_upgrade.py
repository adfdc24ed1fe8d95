"""The demo image's program for upgrades, against the lab's own server, by way of a SOCKS server."""

import functools
import json
import subprocess
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from demo_programs import FOLDER, demo_program
from hypothesis import given
from hypothesis import strategies as some
from socks_door import SocksDoor

from tailstest.lab.network.servers.authority import Authority
from tailstest.lab.network.servers.web import Pages, SecureServer, Sites, context_for_all
from tailstest.lab.network.signing_key import SigningKey
from tailstest.lab.network.upgrade_server import HOST, UpgradeServer

FILE = FOLDER / "upgrade"


def program():
    """Return the program as a module."""
    return demo_program(FILE.name)


@pytest.fixture
def key(tmp_path):
    return SigningKey(tmp_path / "keys" / "upgrade")


@pytest.fixture
def server(tmp_path, key):
    """The lab's upgrade server; it knows an upgrade from 1.0 to 1.1."""
    one = UpgradeServer(tmp_path / "upgrade", tmp_path / "keys" / "upgrade")
    one.offer("tailstest-demo", "1.0", "1.1")
    return one


@pytest.fixture
def place(server):
    return server.site / "upgrades" / "tailstest-demo" / "1.0"


@pytest.fixture
def say(place, key):
    """Return a function that lets the server say something else, rightly signed."""

    def saying(description, signature=None):
        content = (
            description if isinstance(description, bytes) else json.dumps(description).encode()
        )
        (place / "description.json").write_bytes(content)
        (place / "description.json.asc").write_bytes(signature or key.signature(content))

    return saying


@pytest.fixture
def door(server, tmp_path):
    """What the program takes for Tor."""
    (tmp_path / "web").mkdir()
    authority = Authority(tmp_path / "web", tmp_path / "keys" / "authority")
    sites = {HOST: str(server.site)}
    shown = Sites({"folder": str(tmp_path / "web"), "sites": sites, "login": False})
    web = SecureServer(context_for_all(authority), ("::1", 0), functools.partial(Pages, shown))
    threading.Thread(target=web.serve_forever, args=(0.01,), daemon=True).start()
    with SocksDoor(("::1", web.server_address[1])) as one:
        yield one
    web.shutdown()
    web.server_close()


class System:
    """A system that has the program.

    Attributes:
        upgrade: the program.
        place: where it keeps upgrades.
    """

    def __init__(self, folder, door, server, capture, monkeypatch):
        self.upgrade = program()
        self.place = self.upgrade.PLACE = folder / "var" / "demo-upgrade"
        self.upgrade.KEY = folder / "upgrade-key.asc"
        self.upgrade.KEY.write_text(server.public_key)
        self.upgrade.AUTHORITY = folder / "web" / "authority.pem"
        self.upgrade.TOR = f"upgrade:x@127.0.0.1:{door.port}"
        self._capture = capture
        self._patch = monkeypatch
        self.be("1.0")

    def be(self, version):
        release = {"ID": "tailstest-demo", "VERSION_ID": version}
        self._patch.setattr(self.upgrade.platform, "freedesktop_os_release", lambda: release)

    def __call__(self, task, host=HOST):
        """Return status and output of the program: one line."""
        status = self.upgrade.main(task, host)
        out, err = self._capture.readouterr()
        assert err == ""
        assert out.endswith("\n")
        assert out.count("\n") == 1
        assert out.isascii()
        return status, out.strip()

    @property
    def kept(self):
        """Names of all files that it keeps."""
        return [each.name for each in self.place.iterdir()] if self.place.exists() else []


@pytest.fixture
def system(tmp_path, door, server, capfd, monkeypatch):
    return System(tmp_path, door, server, capfd, monkeypatch)


# What is right


def test_an_upgrade_is_announced_and_nothing_of_it_fetched(system, door):
    assert system("check") == (0, "Version 1.1 is available.")
    assert system.kept == []
    # Who looks up the name, and whose circuits these are, is left to Tor.
    assert door.asked == [("upgrade", HOST, 443)] * 2


def test_an_upgrade_is_fetched_and_is_what_was_offered(system, place, door):
    assert system("fetch") == (0, "The upgrade to 1.1 is ready.")
    assert system.kept == ["1.1"]
    right = (place / "tailstest-demo-1.1").read_bytes()
    assert (system.place / "1.1").read_bytes() == right
    assert system.place.stat().st_mode & 0o777 == 0o700
    assert door.asked == [("upgrade", HOST, 443)] * 3


def test_a_newer_one_takes_the_place_of_the_one_before(system, server):
    system("fetch")
    server.offer("tailstest-demo", "1.0", "1.2", size=1)
    assert system("fetch") == (0, "The upgrade to 1.2 is ready.")
    assert system.kept == ["1.2"]


def test_the_newest_version_is_known_as_such(system, server):
    server.offer_nothing("tailstest-demo", "1.0")
    for task in ("check", "fetch"):
        assert system(task) == (0, "This is the newest version.")
    assert system.kept == []


# What is not right


def test_a_damaged_upgrade_is_refused_and_nothing_of_it_stays(system, server):
    assert system("fetch")[0] == 0
    server.damage("tailstest-demo")
    assert system("check") == (0, "Version 1.1 is available.")
    assert system("fetch") == (1, "The upgrade to 1.1 is damaged. It was thrown away.")
    assert system.kept == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content[:-1], "The upgrade to 1.1 is damaged. It was thrown away."),
        (lambda content: content + b"x", "The upgrade server sends more than it should."),
        (lambda content: b"", "The upgrade to 1.1 is damaged. It was thrown away."),
    ],
)
def test_an_upgrade_of_another_size_is_refused(system, place, change, said):
    file = place / "tailstest-demo-1.1"
    file.write_bytes(change(file.read_bytes()))
    assert system("fetch") == (1, said)
    assert system.kept == []


UNTRUSTED = "The upgrade server's description is not signed by those whom this system trusts."


def test_what_somebody_else_has_signed_is_refused(system, server):
    server.sign_with_another_key("tailstest-demo")
    for task in ("check", "fetch"):
        assert system(task) == (1, UNTRUSTED)
    assert system.kept == []
    # The newest version is nothing that anybody may say either.
    server.offer_nothing("tailstest-demo", "1.0")
    server.sign_with_another_key("tailstest-demo")
    assert system("check") == (1, UNTRUSTED)


def test_a_signature_is_for_what_it_lies_beside_only(system, place, key, say):
    right = (place / "description.json").read_bytes()
    changed = right.replace(b"1.1", b"1.2")
    for signature in (
        (place / "description.json.asc").read_bytes(),
        key.signed(right),  # has the whole text in it
        b"no signature",
        b"",
    ):
        say(changed, signature or b"\n")
        assert system("check") == (1, UNTRUSTED)


#: A key that was good for the first of January 2025, and what it signed on that day: "old\n".
EXPIRED_KEY = """\
-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEZ3SFgBYJKwYBBAHaRw8BAQdAv4MQSpZbK2Nmq3MTAothXkijh1hkX5NzImAr
iMuRqcu0Em9sZCA8b2xkQGxhYi50ZXN0PoiWBBMWCAA+FiEE2JJlZNAVWhi+w0Yk
52eN7dVmvbMFAmd0hYACGwMFCQABUYAFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AA
CgkQ52eN7dVmvbPRtgEA5RoN4bqDZMOXFipdTnH2itox/D0dw98c9kzAOc7NuqgA
/21AOpw7ctQ5qTUmIHdaXUG3Rk+XtZ0X6AH/wmTbzG8F
=4612
-----END PGP PUBLIC KEY BLOCK-----
"""
EXPIRED_SIGNATURE = b"""\
-----BEGIN PGP SIGNATURE-----

iHUEABYIAB0WIQTYkmVk0BVaGL7DRiTnZ43t1Wa9swUCZ3STkAAKCRDnZ43t1Wa9
s3+qAQDprNzVbOGBnLI3YHBuzfpysB0bWBcOBAlypYAVOgcIowEAs3HFt4DJSBh9
ml/eJuVedxXDtLLiXWdyJ6EDzVEP+wU=
=ZLuS
-----END PGP SIGNATURE-----
"""


def test_a_key_that_has_expired_signs_nothing_any_more(system):
    system.upgrade.KEY.write_text(EXPIRED_KEY)
    with pytest.raises(system.upgrade.Refused, match="not signed by those"):
        system.upgrade.check_signature(b"old\n", EXPIRED_SIGNATURE)


def test_who_is_trusted_signs_alone(system, place, key, say, tmp_path):
    right = (place / "description.json").read_bytes()
    stranger = SigningKey(tmp_path / "stranger")
    both = b"".join(
        subprocess.run(
            ["sqop", "dearmor"], input=each.signature(right), capture_output=True, check=True
        ).stdout
        for each in (key, stranger)
    )
    say(right, both)
    assert system("check") == (1, UNTRUSTED)


def test_no_answer_does_not_mean_that_there_is_nothing_new(system, place):
    (place / "description.json.asc").unlink()
    status, said = system("check")
    assert (status, "gives no answer" in said, "404" in said) == (1, True, True)
    system.be("0.9")
    status, said = system("check")
    assert (status, "gives no answer" in said, "404" in said) == (1, True, True)


def test_who_is_not_the_server_is_asked_nothing(system):
    system.upgrade.AUTHORITY.unlink()
    status, said = system("check")
    assert status == 1
    assert "certificate" in said


def test_nobody_is_asked_except_through_tor(system, door, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    assert system("check")[0] == 0
    system.upgrade.TOR = "upgrade:x@127.0.0.1:1"
    asked = len(door.asked)
    status, said = system("check")
    assert (status, "gives no answer" in said) == (1, True)
    assert len(door.asked) == asked


def test_a_description_that_is_too_long_is_refused(system, say):
    say(b" " * (64 << 10) + b"{}")
    assert system("check") == (1, "The upgrade server sends more than it should.")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "This system has no key for upgrades."),
        ("", "The key for upgrades is none."),
        ("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nno base64!\n", "The key for upgrades is none."),
        ("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END", UNTRUSTED),
    ],
)
def test_without_a_key_nobody_is_trusted(system, text, said):
    system.upgrade.KEY.unlink()
    if text is not None:
        system.upgrade.KEY.write_text(text)
    assert system("check") == (1, said)


OFFER = {
    "product": "tailstest-demo",
    "installed": "1.0",
    "version": "1.1",
    "size": 5,
    "sha256": "0" * 64,
    "url": f"https://{HOST}/x",
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"product": "other"}, "another product, 'other'"),
        ({"installed": "0.9"}, "for version '0.9', and this is 1.0"),
        ({"installed": "0.9", "version": None}, "for version '0.9', and this is 1.0"),
        ({"version": "1.0"}, "Version 1.0 is not newer than 1.0"),
        ({"version": "1.0.0"}, "is not newer"),
        ({"version": "0.9.9"}, "is not newer"),
        ({"version": "../../etc/cron.d/x"}, "is no version"),
        ({"version": "1.1\n"}, "is no version"),
        ({"version": 2}, "is no version"),
        ({"version": "1." * 40_000}, "is no version"),
        ({"size": 0}, "how large"),
        ({"size": -1}, "how large"),
        ({"size": True}, "how large"),
        ({"size": "5"}, "how large"),
        ({"size": None}, "how large"),
        ({"size": (256 << 20) + 1}, "is too large"),
        ({"sha256": "0" * 63}, "how the upgrade is to be checked"),
        ({"sha256": 0}, "how the upgrade is to be checked"),
        ({"url": "http://upgrade.lab.test/x"}, "where the upgrade is"),
        ({"url": "file:///etc/shadow"}, "where the upgrade is"),
        ({"url": "https://x y"}, "where the upgrade is"),
        ({"url": ["https://x"]}, "where the upgrade is"),
    ],
)
def test_a_description_that_was_signed_for_something_else_is_refused(change, said):
    upgrade = program()
    with pytest.raises(upgrade.Refused, match=said) as caught:
        upgrade.understood(json.dumps(OFFER | change), upgrade.System("tailstest-demo", "1.0"))
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_an_old_description_that_was_signed_once_is_refused(system, say):
    say(OFFER | {"version": "0.9"})
    for task in ("check", "fetch"):
        assert system(task) == (1, "Version 0.9 is not newer than 1.0.")
    assert system.kept == []


@pytest.mark.parametrize(
    "description",
    [
        b"",
        b"[]",
        b"5",
        b'"text"',
        b"\xff",
        b"[" * 60_000,
        b'{"product": "tailstest-demo", "installed": "1.0"}',  # as if nothing were new
    ],
)
def test_a_description_that_says_nothing_is_refused(description):
    upgrade = program()
    with pytest.raises(upgrade.Refused, match="cannot be understood"):
        upgrade.understood(description, upgrade.System("tailstest-demo", "1.0"))


ANYTHING = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
    max_leaves=5,
)
UPGRADE = program()


@given(some.dictionaries(some.sampled_from(sorted(OFFER)), ANYTHING))
def test_whatever_was_signed_is_an_upgrade_or_refused(change):
    system = UPGRADE.System("tailstest-demo", "1.0")
    try:
        found = UPGRADE.understood(json.dumps(OFFER | change), system)
    except UPGRADE.Refused as refused:
        assert len(str(refused)) < 500
    else:
        assert found is None or found.url.startswith("https://")


def test_versions_are_compared_by_their_numbers():
    numbers = program().numbers
    ordered = ["0.9", "1", "1.0.1", "1.2", "1.10", "2.0", "10"]
    assert all(numbers(one) < numbers(next_one) for one, next_one in pairwise(ordered))
    assert numbers("1.0") == numbers("1") == numbers("1.0.0")


@pytest.mark.parametrize("problem", [SystemExit(1), KeyboardInterrupt(), MemoryError()])
def test_who_ends_it_in_the_middle_leaves_nothing(system, monkeypatch, problem):
    def pieces(url, _limit):
        yield b"begin"
        assert system.kept == ["unfinished"]
        raise problem

    upgrade = system.upgrade
    monkeypatch.setattr(upgrade, "pieces", pieces)
    with pytest.raises(type(problem)):
        upgrade.fetch(upgrade.Upgrade("1.1", 5, "0" * 64, "https://x"))
    assert system.kept == []


def test_what_there_is_no_room_for_leaves_nothing(system, monkeypatch):
    real = system.upgrade.pieces

    def pieces(url, limit):
        yield from real(url, limit)
        if not url.endswith((".json", ".asc")):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(system.upgrade, "pieces", pieces)
    assert system("fetch") == (1, "The upgrade failed: [Errno 28] No space left on device")
    assert system.kept == []


def test_what_a_killed_one_left_is_gone_with_the_next(system):
    system.place.mkdir(parents=True)
    (system.place / "unfinished").write_bytes(b"half")
    assert system("fetch")[0] == 0
    assert system.kept == ["1.1"]


@pytest.mark.parametrize(
    ("task", "host"),
    [("", ""), ("check", ""), ("install", HOST), ("check", "a/b"), ("check", "a b")],
)
def test_what_is_no_task_is_told_how_to_be_one(system, door, task, host):
    assert system(task, host) == (1, "Usage: upgrade check SERVER, or upgrade fetch SERVER")
    assert door.asked == []


@pytest.mark.parametrize("change", [str, lambda text: text.replace("\n", "\r\n")])
def test_a_key_is_taken_out_of_its_text_as_sqop_does(key, change):
    text = key.certificate
    expected = subprocess.run(
        ["sqop", "dearmor"], input=text.encode(), capture_output=True, check=True
    )
    assert program().dearmored(change(text)) == expected.stdout
    bare = "\n".join(line for line in text.splitlines() if not line.startswith("Comment:"))
    assert program().dearmored(f"Anna's key:\n{bare}\n") == expected.stdout


def test_it_is_a_program_of_the_image():
    assert FILE.stat().st_mode & 0o111
    done = subprocess.run(
        ["python3", FILE], capture_output=True, text=True, check=False, cwd=Path("/")
    )
    assert (done.returncode, done.stdout.startswith("Usage: ")) == (1, True)
