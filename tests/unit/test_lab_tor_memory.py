"""What a Tor network knew is known again in the labs after it, for some hours."""

import pytest

from tailstest.lab.network.tor_memory import PERIOD, TorMemory

NAMES = ("auth0", "relay3")


class Clock:
    """Stands where it is put."""

    now = 100 * PERIOD + 60.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def memory(tmp_path, clock):
    return TorMemory(tmp_path / "cache", ["DirAuthority auth0"], now=clock)


@pytest.fixture
def lab(tmp_path):
    """Return the folders of two relays that know something."""
    folders = {name: tmp_path / "lab" / name for name in NAMES}
    for name, folder in folders.items():
        (folder / "keys").mkdir(parents=True)
        (folder / "keys" / "secret").write_text(name)
        for of_the_process in ("lock", "torrc"):
            (folder / of_the_process).write_text("of this lab")
    return folders


@pytest.fixture
def other(tmp_path):
    return {name: tmp_path / "other" / name for name in NAMES}


def test_what_was_known_is_known_again_without_what_belongs_to_a_process(memory, lab, other):
    assert not memory.recall(other)
    memory.keep(lab)
    assert memory.recall(other)
    for name, folder in other.items():
        assert (folder / "keys" / "secret").read_text() == name
        assert sorted(path.name for path in folder.iterdir()) == ["keys"]


def test_it_is_known_for_at_least_one_period_and_less_than_two(memory, lab, other, clock):
    memory.keep(lab)
    clock.now += 2 * PERIOD - 61
    assert memory.recall(other)
    clock.now += 1
    assert not memory.recall({name: folder.with_suffix(".later") for name, folder in other.items()})


def test_what_is_too_old_goes_when_something_new_is_kept(memory, lab, clock, tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "198.51.100.11-9030").mkdir()  # keys of an authority
    memory.keep(lab)
    (first,) = cache.glob("network-*")
    clock.now += PERIOD
    memory.keep(lab)
    assert first.exists()
    assert len(list(cache.glob("network-*"))) == 2
    clock.now += PERIOD
    memory.keep(lab)
    assert not first.exists()
    assert (cache / "198.51.100.11-9030").exists()


def test_other_authorities_have_another_memory(memory, lab, other, clock, tmp_path):
    memory.keep(lab)
    others = TorMemory(tmp_path / "cache", ["DirAuthority auth9"], now=clock)
    assert not others.recall(other)


@pytest.mark.parametrize("name", ["auth0/keys/secret", "sha256"])
@pytest.mark.parametrize("content", [b"", b"relay3", b"\xff", None])
def test_what_is_damaged_is_as_unknown_and_can_be_learned_anew(
    memory, lab, other, tmp_path, name, content
):
    memory.keep(lab)
    (file,) = (tmp_path / "cache").glob(f"network-*/{name}")
    file.unlink() if content is None else file.write_bytes(content)
    assert not memory.recall(other)
    assert not any(folder.exists() for folder in other.values())
    memory.keep(lab)
    assert memory.recall(other)


def test_more_relays_than_then_know_nothing(memory, lab, other):
    memory.keep({"auth0": lab["auth0"]})
    assert not memory.recall(other)
