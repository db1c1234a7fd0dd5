"""Which node on a PostgreSQL database leads: the one whose session holds a lock."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING

import psycopg

from tollkeeper.store.postgresql.select import select
from tollkeeper.store.postgresql.sessions import fail, open_session

if TYPE_CHECKING:
    from tollkeeper.store.postgresql.sessions import Session

__all__ = ["PostgreSQLLeadership"]

LOCK = 7_461_003
"""Held by who leads; any number that no other lock of ours has."""


class PostgreSQLLeadership:
    """The ``Leadership`` of one database. The server ends it with the session, so that it never outlives its node."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._leads = False

    def lead(self) -> bool:
        """Lead, when nobody else does; see ``Leadership``."""
        with self._lock:
            try:
                if self._session is None:
                    self._session = open_session(self._url, "candidate")
                if self._leads:
                    self._session.execute("SELECT 1")
                else:
                    ((self._leads,),) = select(self._session, "SELECT pg_try_advisory_lock(?)", (LOCK,))
                    if self._leads:
                        name = f"tollkeeper leader {os.getpid()} on {socket.gethostname()}"
                        select(self._session, "SELECT set_config('application_name', ?, false)", (name,))
            except psycopg.Error as error:
                self._let_go()
                fail(error)
            return self._leads

    def resign(self) -> None:
        """Let another node lead; idempotent."""
        with self._lock:
            if self._session is not None:
                # The server takes a moment to see that a session is closed: nobody shall wait for that.
                with contextlib.suppress(psycopg.Error):
                    self._session.execute("SELECT pg_advisory_unlock_all()")
            self._let_go()

    def _let_go(self) -> None:
        session, self._session, self._leads = self._session, None, False
        if session is not None:
            session.close()
