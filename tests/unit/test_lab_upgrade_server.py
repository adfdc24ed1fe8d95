"""What the lab's upgrade server says, and that gpgv believes it when it is right."""

import hashlib
import json
import subprocess

import pytest

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.lab.network.upgrade_server import LARGEST, USUAL_SIZE, UpgradeServer


@pytest.fixture
def key(tmp_path):
    return tmp_path / "keys" / "upgrade"


@pytest.fixture
def server(tmp_path, key):
    return UpgradeServer(tmp_path / "upgrade", key)


def place(server, installed="1.0"):
    return server.site / "upgrades" / "demo" / installed


def said(server, installed="1.0"):
    return json.loads((place(server, installed) / "description.json").read_bytes())


def is_believed(server, folder, installed="1.0"):
    """Tell whether gpgv finds the signature good with the key that a machine is given."""
    binary = folder / "key"
    armored = server.public_key.encode()
    binary.write_bytes(
        subprocess.run(["sqop", "dearmor"], input=armored, capture_output=True, check=True).stdout
    )
    files = [place(server, installed) / f"description.json{end}" for end in (".asc", "")]
    command = ["gpgv", "--homedir", folder, "--keyring", binary, *files]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_an_upgrade_is_described_under_a_signature(server, tmp_path):
    server.offer("demo", "1.0", "1.1")
    description = said(server)
    url = description["url"].removeprefix("https://upgrade.lab.test/")
    content = (server.site / url).read_bytes()
    assert description == {
        "product": "demo",
        "installed": "1.0",
        "version": "1.1",
        "size": USUAL_SIZE,
        "sha256": hashlib.sha256(content).hexdigest(),
        "url": "https://upgrade.lab.test/upgrades/demo/1.0/demo-1.1",
    }
    assert len(content) == USUAL_SIZE
    assert is_believed(server, tmp_path)
    (place(server) / "description.json").write_bytes(b"{}")
    assert not is_believed(server, tmp_path)


def test_the_same_upgrade_has_the_same_bytes_in_each_lab_and_the_same_key(tmp_path, key):
    first, second = (UpgradeServer(tmp_path / name, key) for name in ("1", "2"))
    for each in (first, second):
        each.offer("demo", "1.0", "1.1", size=(1 << 20) + 1)
    assert said(first) == said(second)
    assert said(first)["size"] == (1 << 20) + 1
    assert first.public_key == second.public_key
    second.offer("demo", "1.0", "1.2", size=(1 << 20) + 1)
    assert said(second)["sha256"] != said(first)["sha256"]


def test_a_file_is_offered_as_it_is_now_and_damaging_it_leaves_the_original(server, tmp_path):
    file = tmp_path / "new.img"
    file.write_bytes(b"system")
    server.offer_file("demo", "1.0", "2.0", file)
    assert (place(server) / "demo-2.0").read_bytes() == b"system"
    assert said(server)["sha256"] == hashlib.sha256(b"system").hexdigest()
    server.damage("demo")
    assert file.read_bytes() == b"system"


def test_nothing_new_is_said_under_a_signature_and_takes_the_upgrade_away(server, tmp_path):
    server.offer("demo", "1.0", "1.1")
    server.offer_nothing("demo", "1.0")
    assert said(server) == {"product": "demo", "installed": "1.0", "version": None}
    assert is_believed(server, tmp_path)
    assert {each.name for each in place(server).iterdir()} == {
        "description.json",
        "description.json.asc",
    }


def test_a_damaged_upgrade_differs_in_one_byte_until_another_is_offered(server, tmp_path):
    server.offer("demo", "1.0", "1.1")
    file = place(server) / "demo-1.1"
    right, description = file.read_bytes(), said(server)
    for _ in range(2):  # done twice it is not right again
        server.damage("demo")
        damaged = file.read_bytes()
        assert len(damaged) == len(right)
        assert sum(a != b for a, b in zip(damaged, right, strict=True)) == 1
    assert said(server) == description
    assert is_believed(server, tmp_path)
    server.offer("demo", "1.0", "1.1")
    assert file.read_bytes() == right


def test_every_version_of_the_product_gets_the_damage_and_no_other_product(server):
    for product, installed in (("demo", "1.0"), ("demo", "1.1"), ("other", "1.0")):
        server.offer(product, installed, "2.0")
    server.offer_nothing("demo", "2.0")
    server.damage("demo")

    def digest(product, installed):
        file = server.site / "upgrades" / product / installed / f"{product}-2.0"
        return hashlib.sha256(file.read_bytes()).hexdigest()

    assert digest("demo", "1.0") != said(server, "1.0")["sha256"]
    assert digest("demo", "1.1") != said(server, "1.1")["sha256"]
    other = server.site / "upgrades" / "other" / "1.0" / "description.json"
    assert digest("other", "1.0") == json.loads(other.read_bytes())["sha256"]


def test_what_somebody_else_has_signed_is_not_believed_until_something_new_is_said(
    server, tmp_path
):
    server.offer("demo", "1.0", "1.1")
    description = said(server)
    server.sign_with_another_key("demo")
    assert said(server) == description
    assert not is_believed(server, tmp_path)
    server.offer_nothing("demo", "1.0")
    assert is_believed(server, tmp_path)


@pytest.mark.parametrize("product", ["", "../up", "a/b", "..", ".demo", "x" * 101, "demo\n"])
def test_a_product_never_becomes_another_path(server, product):
    with pytest.raises(UsageError, match="is no product"):
        server.offer(product, "1.0", "1.1")
    assert list(server.site.iterdir()) == []


@pytest.mark.parametrize("version", ["", "../1", "1/2", "..", "one", "1 2", "1" * 101, "1\n"])
def test_a_version_never_becomes_another_path(server, version):
    for installed, new in (("1.0", version), (version, "1.1")):
        with pytest.raises(UsageError, match="is no version"):
            server.offer("demo", installed, new)
    with pytest.raises(UsageError, match="is no version"):
        server.offer_nothing("demo", version)
    assert list(server.site.iterdir()) == []


@pytest.mark.parametrize("size", [0, LARGEST + 1])
def test_an_upgrade_has_some_bytes_and_not_too_many(server, size):
    with pytest.raises(UsageError, match=f"an upgrade of {size} bytes"):
        server.offer("demo", "1.0", "1.1", size)


def test_a_file_that_is_not_there_is_named(server, tmp_path):
    with pytest.raises(UsageError, match=r"no file .*/missing\.img"):
        server.offer_file("demo", "1.0", "1.1", tmp_path / "missing.img")


def test_what_cannot_be_written_is_trouble_of_the_host(server, monkeypatch):
    def full(*_values):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tailstest.lab.network.upgrade_server.random.Random", full)
    with pytest.raises(InfrastructureError, match="No space left on device"):
        server.offer("demo", "1.0", "1.1")


def test_only_what_is_offered_can_be_damaged_or_signed_by_somebody_else(server):
    for change in (server.damage, server.sign_with_another_key):
        with pytest.raises(UsageError, match='knows no "demo"; known: none'):
            change("demo")
    server.offer_nothing("other", "1.0")
    for change in (server.damage, server.sign_with_another_key):
        with pytest.raises(UsageError, match='knows no "demo"; known: other'):
            change("demo")
    with pytest.raises(UsageError, match='no upgrade of "other" that could be damaged'):
        server.damage("other")
