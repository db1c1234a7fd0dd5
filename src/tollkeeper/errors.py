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
├── ConflictError           it is there already, or its state does not allow this (409)
├── PreconditionFailedError it was changed since the caller looked at it (412)
├── LimitExceededError      a quota or a rate limit leaves no room for it (429)
└── StoreError              the store cannot answer; what was sent is not acknowledged (503)
    └── SinkError           a sink could not deliver a batch
"""

__all__ = [
    "AuthenticationError",
    "ConfigurationError",
    "ConflictError",
    "InvalidRequestError",
    "LimitExceededError",
    "MissingDependencyError",
    "NotFoundError",
    "PermissionDeniedError",
    "PreconditionFailedError",
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


class ConflictError(TollkeeperError):
    """It is there already, or its state does not allow what is asked for."""

    code = "conflict"


class PreconditionFailedError(TollkeeperError):
    """It was changed since the caller looked at it."""

    code = "precondition_failed"


class LimitExceededError(TollkeeperError):
    """A quota or a rate limit leaves no room; ``retry_after`` is how many seconds until there may be some."""

    code = "quota_exceeded"

    def __init__(self, detail: str, *, code: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(detail, code=code)
        self.retry_after = retry_after


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
