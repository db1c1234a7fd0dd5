"""A small pool of sessions with one PostgreSQL database, that outlives forks and restarts of the server."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

import psycopg
from psycopg.pq import TransactionStatus

from tollkeeper.errors import StoreError
from tollkeeper.store.postgresql.sessions import fail, open_session, without_password
from tollkeeper.store.sql.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tollkeeper.store.postgresql.sessions import Session

__all__ = ["Connections"]

POOL_SIZE = 8
WAIT_SECONDS = 30.0
REFUSED_SECONDS = 0.5
READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"


class Connections:
    """Opens up to eight sessions, as many as are used at once, and closes all of them at the end.

    ``write`` and ``read`` are transactions; the second sees one snapshot. ``appending`` is for who must not be
    disturbed between two transactions. A fork finds all sessions closed, and they open again on either side. So they do
    after a restart of the server, at the next transaction; the one that it cut off raises StoreError.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: list[Session] = []
        self._busy: set[Session] = set()
        self._lost: list[Session] = []
        self._refused: tuple[float, StoreError] | None = None
        self._renew_locks()
        self._gate = Gate(
            f"The store {without_password(url)}", close_all=self._close_all, abandon=self._abandon, library=False
        )

    def _renew_locks(self) -> None:
        self.appending = threading.Lock()
        self._places = threading.BoundedSemaphore(POOL_SIZE)

    @contextlib.contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that is durable when the block ends, and absent when it raises."""
        with self._gate.passage(), self._place(), self._transaction(WRITE) as session:
            yield session

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent snapshot."""
        with self._gate.passage(), self._place(), self._transaction(READ) as session:
            yield session

    def close(self) -> None:
        """Close every session, when the transactions under way have ended; idempotent."""
        self._gate.close(WAIT_SECONDS)

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        places = self._places
        if not places.acquire(timeout=WAIT_SECONDS):
            raise StoreError("Too many questions wait for PostgreSQL: ask again in a moment.", code="overloaded")
        try:
            yield
        finally:
            places.release()

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[Session]:
        session = self._begin(begin)
        self._busy.add(session)
        try:
            try:
                yield session
            except BaseException:
                with contextlib.suppress(psycopg.Error):
                    session.execute("ROLLBACK")
                raise
            session.execute("COMMIT")
        except psycopg.Error as error:
            fail(error)
        finally:
            self._busy.discard(session)
            self._keep(session)

    def _begin(self, begin: str) -> Session:
        """A session in a new transaction; those that the server has closed meanwhile are passed over."""
        while self._idle:
            with contextlib.suppress(IndexError):  # another thread was faster
                session = self._idle.pop()
                try:
                    session.execute(begin)
                except psycopg.Error:
                    session.close()
                else:
                    return session
        session = self._open()
        try:
            session.execute(begin)
        except psycopg.Error as error:
            session.close()
            fail(error)
        return session

    def _keep(self, session: Session) -> None:
        if session.info.transaction_status == TransactionStatus.IDLE:
            self._idle.append(session)
        else:
            session.close()

    def _open(self) -> Session:
        # Who waits for a server that is away must not be kept waiting for each of many attempts.
        if self._refused and time.monotonic() < self._refused[0]:
            raise StoreError(self._refused[1].detail)
        try:
            session = open_session(self._url, "store")
        except StoreError as error:
            self._refused = time.monotonic() + REFUSED_SECONDS, error
            raise
        self._refused = None
        return session

    def _close_all(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _abandon(self) -> None:
        # Its sockets are the parent's too: to close a session here would end it there.
        self._lost += [*self._idle, *self._busy]
        self._idle, self._busy = [], set()
        self._renew_locks()
