"""Connections to a database file that may be removed, replaced or forked away from while it is in use.

A developer deletes the file to start afresh while processes still have it open. A connection to a removed file goes on
working, on a file that nobody will ever see again. So each use compares the file at the path with the one that was opened.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shared.errors import TransientError
from shared.store.sqlite_query import schema

Identity = tuple[int, int]
"""Device and inode."""

_left_to_parent: list[sqlite3.Connection] = []
"""Connections inherited by a fork: SQLite forbids a child to use or even close them."""


class _Opened:
    """A connection and the file it belongs to; closed when its thread is gone."""

    def __init__(self, connection: sqlite3.Connection, identity: Identity) -> None:
        self.connection = connection
        self.identity = identity
        self.process = os.getpid()

    def close(self) -> None:
        if self.process == os.getpid():
            self.connection.close()
        else:
            _left_to_parent.append(self.connection)

    def __del__(self) -> None:
        self.close()


class Connections:
    """One connection per thread to the file at ``path``, made with its tables when it is not there."""

    def __init__(self, path: Path, busy_timeout: float) -> None:
        self.path = path.absolute()
        self._busy_timeout = busy_timeout
        self._thread = threading.local()
        self._all: weakref.WeakSet[_Opened] = weakref.WeakSet()
        self._guard = threading.Lock()

    @contextmanager
    def use(self, writing: bool = False) -> Iterator[sqlite3.Connection]:
        """This thread's connection to the file that is there now."""
        opened: _Opened | None = getattr(self._thread, "opened", None)
        if opened is None or opened.process != os.getpid() or opened.identity != self._identity():
            self._thread.opened = None
            opened = self._thread.opened = self._open()
        yield opened.connection
        if writing and opened.identity != self._identity():
            raise TransientError(f"{self.path} was removed during a write; nothing of it is kept, try again")

    def close(self) -> None:
        """Close every thread's connection."""
        with self._guard:
            for opened in list(self._all):
                opened.close()
            self._thread = threading.local()

    def _identity(self) -> Identity | None:
        with suppress(FileNotFoundError):
            found = self.path.stat()
            return found.st_dev, found.st_ino
        return None

    def _open(self) -> _Opened:
        for _ in range(3):
            with self._alone():
                if self._identity() is None:
                    # Of a removed file; SQLite would take them for this one's.
                    for suffix in ("-wal", "-shm"):
                        Path(f"{self.path}{suffix}").unlink(missing_ok=True)
                connection = self._connect()
                identity = self._identity()
            if identity is not None:
                opened = _Opened(connection, identity)
                with self._guard:
                    self._all.add(opened)
                return opened
            connection.close()  # removed again already
        raise TransientError(f"{self.path} is removed again and again while it is opened; find out by whom")

    def _connect(self) -> sqlite3.Connection:
        # Used by one thread only, but closed by whichever thread stops the process.
        connection = sqlite3.connect(
            self.path, timeout=self._busy_timeout, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            for statement in schema():
                connection.execute(statement)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Only one process or thread makes the file or opens it; the lock goes when its holder dies."""
        if not self.path.parent.is_dir():
            raise TransientError(f"the store's directory {self.path.parent} does not exist; create it")
        descriptor = os.open(f"{self.path}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
