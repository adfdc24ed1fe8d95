"""A SOCKS server that lets through to one place, whatever is asked for, and keeps what was."""

import contextlib
import socket
import struct
import threading
from types import TracebackType

#: RFC 1928 and 1929: version of the protocol, and of names with passwords; the kind of address that
#: is a name.
VERSION, NAMED, NAME = 5, 2, 3


class SocksDoor:
    """Listens on the loopback while it is a context.

    Args:
        target: where everybody is let through to, as for `socket.create_connection`.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        #: Who asked for what: user, host, port.
        self.asked: list[tuple[str, str, int]] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listening.getsockname()[1])

    def __enter__(self) -> "SocksDoor":
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, client.makefile("rb") as said:
            said.read(said.read(2)[1])
            client.sendall(bytes([VERSION, NAMED]))
            user = said.read(said.read(2)[1]).decode()
            said.read(said.read(1)[0])
            client.sendall(bytes([1, 0]))
            assert said.read(4)[3] == NAME  # who sends an address has looked up the name elsewhere
            host = said.read(said.read(1)[0]).decode()
            self.asked.append((user, host, struct.unpack("!H", said.read(2))[0]))
            with socket.create_connection(self._target) as server:
                client.sendall(bytes([VERSION, 0, 0, 1]) + bytes(6))
                back = threading.Thread(target=_copy, args=(server, client), daemon=True)
                back.start()
                _copy(client, server)
                back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
