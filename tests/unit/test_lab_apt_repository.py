"""The lab's APT repository, judged by APT itself."""

import functools
import http.server
import subprocess
import threading

import pytest

from tailstest.core.errors import UsageError
from tailstest.lab.network.apt_repository import AptRepository


class Apt:
    """APT with folders of its own: nothing of the host is looked at or changed."""

    def __init__(self, folder, port):
        self.folder = folder
        for name in ("etc/apt.conf.d", "state/lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        source = f"deb [signed-by={folder}/key.asc] http://127.0.0.1:{port} ./\n"
        (folder / "etc" / "sources.list").write_text(source)
        options = {
            "Dir::Etc": folder / "etc",
            "Dir::State": folder / "state",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "APT::Sandbox::User": "",
            "Acquire::Retries": "0",
            "Acquire::http::Proxy": "DIRECT",
        }
        (folder / "apt.conf").write_text("".join(f'{k} "{v}";\n' for k, v in options.items()))

    def __call__(self, *arguments):
        return subprocess.run(
            ["apt-get", *arguments],
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "APT_CONFIG": f"{self.folder}/apt.conf"},
            capture_output=True,
            text=True,
            check=False,
        )

    def trust(self, repository):
        (self.folder / "key.asc").write_text(repository.public_key)


@pytest.fixture
def repository(tmp_path):
    return AptRepository(tmp_path / "repository", tmp_path / "keys" / "apt")


@pytest.fixture
def apt(repository, tmp_path):
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(repository.site)
    )
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield Apt(tmp_path / "apt", server.server_address[1])
    server.shutdown()
    server.server_close()


def test_apt_trusts_it_and_gets_the_newest_package(repository, apt):
    for version in ("1.0", "1.10", "1.9"):
        repository.add("hello-lab", version)
    repository.publish()
    apt.trust(repository)
    done = apt("update")
    assert done.returncode == 0, done.stderr
    assert "W:" not in done.stderr
    done = apt("download", "hello-lab")
    assert done.returncode == 0, done.stderr
    (package,) = apt.folder.glob("hello-lab_*.deb")
    assert package.name == "hello-lab_1.10_all.deb"
    subprocess.run(["dpkg-deb", "-x", package, apt.folder / "root"], check=True)
    said = subprocess.run(
        [apt.folder / "root" / "usr" / "bin" / "hello-lab"], capture_output=True, check=True
    )
    assert said.stdout == b"hello-lab 1.10\n"


def test_apt_refuses_a_damaged_package(repository, apt):
    repository.add("hello-lab", "1.0")
    repository.publish()
    apt.trust(repository)
    repository.damage("hello-lab")
    assert apt("update").returncode == 0
    done = apt("download", "hello-lab")
    assert done.returncode
    assert "Hash Sum mismatch" in done.stderr
    assert not list(apt.folder.glob("hello-lab_*.deb"))


def test_apt_refuses_an_index_that_somebody_else_has_signed(repository, apt):
    repository.add("hello-lab", "1.0")
    repository.publish()
    apt.trust(repository)
    repository.change_key()
    repository.publish()
    done = apt("update")
    assert "NO_PUBKEY" in done.stderr
    assert apt("download", "hello-lab").returncode


@pytest.mark.parametrize(
    ("name", "version"),
    [("../up", "1"), ("Hello", "1"), ("h", "1"), ("hello", "one"), ("hello", "1 2"), ("", "1")],
)
def test_what_is_no_package_is_refused(repository, name, version):
    with pytest.raises(UsageError, match="no package of a lab"):
        repository.add(name, version)


@pytest.mark.parametrize("name", ["other", "*", "../x", ""])
def test_only_a_package_that_is_there_can_be_damaged(repository, name):
    repository.add("hello-lab", "1.0")
    with pytest.raises(UsageError, match="has no package"):
        repository.damage(name)
