"""Who may do what: tokens for programs, sessions and one-time login links for people."""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import TYPE_CHECKING

from tollkeeper.errors import AuthenticationError, PermissionDeniedError

if TYPE_CHECKING:
    from tollkeeper.settings import Settings
    from tollkeeper.store.protocols import Catalog, Scope, Token

__all__ = ["SESSION_COOKIE", "Access"]

SESSION_COOKIE = "tollkeeper_session"

PREFIX = "tkt_"
GRANTS: dict[Scope, frozenset[Scope]] = {
    "ingest": frozenset({"ingest"}),
    "read": frozenset({"read"}),
    "admin": frozenset({"ingest", "read", "admin"}),
}
TOKEN_CACHE_SECONDS = 1.0
TOKEN_CACHE_SIZE = 1024


class Access:
    """Checks credentials against the catalogue, which holds only hashes of them.

    A secret has 256 random bits, so a plain SHA-256 cannot be searched backwards, and looking the hash up leaks nothing
    by its timing. A token that was found stays good for a second, so that the hot routes seldom ask the store.
    """

    def __init__(self, catalog: Catalog, settings: Settings) -> None:
        self._catalog = catalog
        self._settings = settings
        self._found: dict[bytes, tuple[float, Token]] = {}

    def create_token(self, name: str, scope: Scope) -> str:
        """Make a token and return its secret, which nobody can read again; a taken name raises UnprocessableError."""
        secret = PREFIX + secrets.token_urlsafe(32)
        self._catalog.add_token(name, scope, _digest(secret))
        return secret

    def authorize(self, secret: str | None, needed: Scope) -> Token:
        """The token with this secret; raises AuthenticationError or PermissionDeniedError."""
        if not secret:
            raise AuthenticationError("No token: send the header 'Authorization: Bearer <token>'.")
        digest = _digest(secret)
        now = time.monotonic()
        until, token = self._found.get(digest, (0.0, None))
        if token is None or until < now:
            token = self._catalog.find_token(digest)
            if token is None:
                self._found.pop(digest, None)
                raise AuthenticationError("The token is not known: make one with 'tollkeeper token create'.")
            if len(self._found) >= TOKEN_CACHE_SIZE:
                self._found.clear()
            self._found[digest] = (now + TOKEN_CACHE_SECONDS, token)
        return _granted(token, needed)

    def create_login_link(self, token: Token) -> str:
        """Make a code that logs one browser in, once, with the rights of a token."""
        code = secrets.token_urlsafe(32)
        lifetime = self._settings.login_link_minutes * 60_000_000
        self._catalog.add_session(token.id, _digest(code), _now() + lifetime, one_time=True)
        return code

    def log_in_by_link(self, code: str) -> str:
        """Trade a login link's code for a session; raises AuthenticationError when it is used, expired or unknown."""
        token = self._catalog.take_login_link(_digest(code), _now())
        if token is None:
            raise AuthenticationError(
                "This login link was used already or has expired: 'tollkeeper login-link' prints a new one."
            )
        return self._start_session(token)

    def log_in_by_token(self, secret: str) -> str:
        """Trade a token that may read for a session; raises AuthenticationError or PermissionDeniedError."""
        return self._start_session(self.authorize(secret.strip(), "read"))

    def check_session(self, session: str | None) -> Token:
        """The token that a session acts for, which may read; raises AuthenticationError."""
        token = self._catalog.find_session(_digest(session), _now()) if session else None
        if token is None:
            raise AuthenticationError("Log in to see this page.")
        return _granted(token, "read")

    def log_out(self, session: str | None) -> None:
        """End a session; idempotent."""
        if session:
            self._catalog.end_session(_digest(session))

    def _start_session(self, token: Token) -> str:
        session = secrets.token_urlsafe(32)
        lifetime = self._settings.session_hours * 3_600_000_000
        self._catalog.add_session(token.id, _digest(session), _now() + lifetime, one_time=False)
        return session


def _granted(token: Token, needed: Scope) -> Token:
    if needed not in GRANTS[token.scope]:
        raise PermissionDeniedError(
            f"The token {token.name!r} may {token.scope}; this needs a token that may {needed}."
        )
    return token


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _now() -> int:
    return time.time_ns() // 1_000
