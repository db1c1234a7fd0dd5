"""What can go wrong, as one tree; each leaf has a stable ``code`` and a message that says what to do.

TollkeeperError
├── ConfigurationError      a setting, a URL or a file that the operator must correct
│   └── MissingDependencyError   an extra that is not installed
├── InvalidRequestError     what the caller sent cannot be taken (400)
│   ├── TooLargeError       … because a stated limit is exceeded (413)
│   └── UnprocessableError  … because its content breaks the contract (422)
├── AuthenticationError     no valid credentials (401)
├── PermissionDeniedError   credentials that do not reach this far (403)
├── NotFoundError           there is no such thing (404)
└── StoreError              the store cannot answer; what was sent is not acknowledged (503)
    └── SinkError           a sink could not deliver a batch
"""

__all__ = [
    "AuthenticationError",
    "ConfigurationError",
    "InvalidRequestError",
    "MissingDependencyError",
    "NotFoundError",
    "PermissionDeniedError",
    "SinkError",
    "StoreError",
    "TollkeeperError",
    "TooLargeError",
    "UnprocessableError",
]


class TollkeeperError(Exception):
    """Root of the tree: ``code`` is for programs and never changes, the message is for people."""

    code = "error"

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code


class ConfigurationError(TollkeeperError):
    """A setting, a URL or a file that the operator must correct."""

    code = "configuration"


class MissingDependencyError(ConfigurationError):
    """An optional library is not installed; the message names the extra that brings it."""

    code = "missing_dependency"


class InvalidRequestError(TollkeeperError):
    """What the caller sent cannot be taken."""

    code = "invalid_request"


class TooLargeError(InvalidRequestError):
    """A stated limit of size or count is exceeded."""

    code = "too_large"


class UnprocessableError(InvalidRequestError):
    """Well-formed, but its content breaks the contract."""

    code = "unprocessable"


class AuthenticationError(TollkeeperError):
    """No valid credentials came with the request."""

    code = "unauthenticated"


class PermissionDeniedError(TollkeeperError):
    """The credentials are valid, but their scope does not reach this far."""

    code = "forbidden"


class NotFoundError(TollkeeperError):
    """There is no such thing."""

    code = "not_found"


class StoreError(TollkeeperError):
    """The store cannot answer now; nothing that was sent is acknowledged."""

    code = "store_unavailable"


class SinkError(StoreError):
    """A sink could not deliver a batch; ``retry`` says whether sending it again can help."""

    code = "sink"

    def __init__(self, detail: str, *, retry: bool = True, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.retry = retry
        self.retry_after = retry_after
