"""libvirt's event loop in a thread of its own."""

from __future__ import annotations

import threading
from types import ModuleType

#: Seconds to wait for the thread to leave its loop; it only has to return from poll().
STOP_TIMEOUT = 5.0


class EventLoop:
    """Runs libvirt's default event loop; needed before the embedded driver may be opened.

    libvirt knows one event loop per process, and it must be registered before the first
    connection is opened. So there is one instance per process (see `EventLoop.shared`), with as
    many users as there are open connections.

    Args:
        libvirt: the module, as given by `tailstest.hypervisor.library.load_libvirt`.
    """

    _shared: EventLoop | None = None
    _lock = threading.Lock()

    def __init__(self, libvirt: ModuleType) -> None:
        self._libvirt = libvirt
        self._users = 0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        libvirt.virEventRegisterDefaultImpl()

    @classmethod
    def shared(cls, libvirt: ModuleType) -> EventLoop:
        """Return the process's event loop, registering it with libvirt the first time."""
        with cls._lock:
            if cls._shared is None:
                cls._shared = cls(libvirt)
            return cls._shared

    @property
    def running(self) -> bool:
        """Whether the thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Add a user; the thread starts with the first one."""
        with self._lock:
            self._users += 1
            if not self.running:
                self._stopping.clear()
                self._thread = threading.Thread(
                    target=self._run, name="libvirt-events", daemon=True
                )
                self._thread.start()

    def stop(self) -> None:
        """Remove a user; the thread ends with the last one."""
        with self._lock:
            self._users = max(0, self._users - 1)
            if self._users or self._thread is None:
                return
            self._stopping.set()
            # The loop sits in poll(); a timer that is due at once makes it return.
            timer = self._libvirt.virEventAddTimeout(0, lambda _timer, _opaque: None, None)
            self._thread.join(STOP_TIMEOUT)
            self._libvirt.virEventRemoveTimeout(timer)
            if not self._thread.is_alive():
                self._thread = None

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._libvirt.virEventRunDefaultImpl()
            except self._libvirt.libvirtError:
                # poll() itself failed; give the other threads a turn and try again.
                self._stopping.wait(0.1)
