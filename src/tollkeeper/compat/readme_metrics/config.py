"""The configuration of ReadMe Metrics, under the names that its own library gives it."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from tollkeeper.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["MetricsApiConfig"]


class MetricsApiConfig:
    """What is sent to ReadMe, of which requests, and when.

    ``grouping_function`` is called with the ``flask.Request`` and tells who called: ``api_key`` (or ``id``), ``label``
    and ``email``; None leaves the request out. It may be a dotted path, which is followed when the config is used.
    ``base_log_url`` is the address of your documentation: with it, each answer that is logged says where its log is,
    in the header ``x-documentation-url``. ``timeout`` is in seconds. ``blacklist`` and ``whitelist`` are old names of
    ``denylist`` and ``allowlist``.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    def __init__(  # noqa: PLR0917 - the signature is that of the library it replaces
        self,
        api_key: str,
        grouping_function: Callable[[Any], dict[str, Any] | None] | str | None,
        base_log_url: str | None = None,
        buffer_length: int = 10,
        development_mode: bool = False,  # noqa: FBT001, FBT002 - the same
        background_worker_mode: bool = True,  # noqa: FBT001, FBT002 - the same
        allowlist: Iterable[str] | None = None,
        denylist: Iterable[str] | None = None,
        blacklist: Iterable[str] | None = None,
        whitelist: Iterable[str] | None = None,
        allowed_http_hosts: Iterable[str] | None = None,
        timeout: float = 3,
    ) -> None:
        if not buffer_length >= 1:
            raise ConfigurationError(f"buffer_length is {buffer_length!r}: give the number of logs to send at once.")
        self.api_key = api_key
        self.grouping_function = grouping_function
        self.base_log_url = base_log_url
        self.buffer_length = buffer_length
        self.development_mode = development_mode
        self.background_worker_mode = background_worker_mode
        self.allowlist = _names("allowlist", allowlist or whitelist)
        self.denylist = _names("denylist", denylist or blacklist)
        self.allowed_http_hosts = _names("allowed_http_hosts", allowed_http_hosts)
        self.timeout = timeout

    def find_grouping_function(self) -> Callable[[Any], Any] | None:
        """The grouping function, imported where it is a path; None where there is none.

        Raises:
            ConfigurationError: the path leads to no function.
        """
        given = self.grouping_function
        try:
            found = resolve_name(given) if isinstance(given, str) else given
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigurationError(
                f"grouping_function is {given!r}: give a function or its path ({error})."
            ) from error
        if found is not None and not callable(found):
            raise ConfigurationError(f"grouping_function is {given!r}, which is no function: give one, or its path.")
        return found


def _names(option: str, names: Iterable[str] | None) -> tuple[str, ...]:
    if isinstance(names, str):  # a lone text would be taken for a list of letters
        raise ConfigurationError(f"{option} is the text {names!r}: make it a list, [{names!r}].")
    return tuple(names or ())
