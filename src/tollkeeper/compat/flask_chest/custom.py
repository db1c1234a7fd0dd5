"""A chest that is any HTTP endpoint."""

from __future__ import annotations

import json
import ssl
from base64 import b64encode
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request, getproxies

import msgspec

from tollkeeper.compat.flask_chest.chest import FlaskChest
from tollkeeper.errors import ConfigurationError, SinkError
from tollkeeper.events.redaction import redact_text

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Collection, Mapping, Sequence

    from tollkeeper.compat.flask_chest.chest import Variable

__all__ = ["FlaskChestCustomWriter"]

TIMEOUT = 10.0
MAX_ANSWER_BYTES = 500
IN_A_URL = ":/?#[]@!$&'()*+,;=~%"


class FlaskChestCustomWriter(FlaskChest):
    """Posts what ``payload_generator`` makes of the variables of a request, as JSON, over a connection of its own.

    ``verify`` may also be the path of a CA bundle. ``headers`` go before ours, ``params`` into the query; ``proxies``
    are HTTP proxies by scheme, beside those of the environment. A redirect is not followed: it is another status.

    Raises:
        ConfigurationError: ``url`` is not that of an HTTP endpoint, or the CA bundle cannot be read.
    """

    def __init__(  # noqa: PLR0917 - the signature that is replaced
        self,
        url: str,
        payload_generator: Callable[[list[Variable]], Any],
        name: str | None = None,
        headers: Mapping[str, str] | None = None,
        params: Any = None,
        proxies: Mapping[str, str] | None = None,
        verify: bool | str = False,  # noqa: FBT001, FBT002 - the signature that is replaced
        success_status_codes: Collection[int] = (200,),
        logger: logging.Logger | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        super().__init__(logger=logger)
        self.url = url
        self.payload_generator = payload_generator
        self.name = url if name is None else name
        self.verify = verify
        self.success_status_codes = list(success_status_codes)
        self.timeout = timeout or TIMEOUT
        self._target, given = _prepare(url, params)
        self._headers = {"Content-type": "application/json", "User-agent": "tollkeeper"} | given
        self._headers |= {key.capitalize(): value for key, value in (headers or {}).items()}
        self._shown = _origin(self._target) if name is None else name
        self._opener = _make_opener(proxies or {}, verify)
        if not verify:
            self.logger.warning(
                "%s does not verify the certificate of its server: pass verify=True, or the path of a CA bundle.", self
            )

    def __str__(self) -> str:
        return f"FlaskChestCustomWriter(name={self._shown})"

    def to_dict(self) -> dict[str, Any]:
        """Describe the chest without headers, path, parameters and proxies, which may be secret."""
        return {
            "type": "custom_writer",
            "name": self._shown,
            "url": _origin(self._target),
            "verify": self.verify,
            "success_status_codes": self.success_status_codes,
        }

    def write(self, context_tuple_list: Sequence[Variable]) -> None:
        """Generate the payload and post it; the variables may be none.

        Raises:
            SinkError: the payload cannot be generated or is no JSON, nobody answers in time, or with another status.
        """
        body = self._make_body(list(context_tuple_list))
        self.logger.info("Writing to %s", self)
        status, text = self._post(body)
        if status in self.success_status_codes:
            self.logger.debug("%s answered %d.", self, status)
            return
        raise SinkError(
            f"{self} answered {status}, which is not among its success_status_codes "
            f"{self.success_status_codes}: {redact_text(text)!r}.",
            retry=False,
        )

    def _make_body(self, variables: list[Variable]) -> bytes:
        try:
            payload = self.payload_generator(variables)
        except Exception as error:
            raise SinkError(f"The payload_generator of {self} failed: {type(error).__name__}.", retry=False) from error
        if isinstance(payload, str | bytes) and _is_json(payload):
            return payload.encode() if isinstance(payload, str) else payload
        try:
            return msgspec.json.encode(payload, enc_hook=str)
        except (TypeError, ValueError, RecursionError) as error:
            raise SinkError(
                f"The payload_generator of {self} must return what JSON can hold ({type(error).__name__}).", retry=False
            ) from None

    def _post(self, body: bytes) -> tuple[int, str]:
        request = Request(self._target, body, self._headers, method="POST")  # noqa: S310 - http or https, as checked
        failure = ""
        try:
            with self._opener.open(request, timeout=self.timeout) as answer:
                # One read: an endpoint that sends drop by drop would hold the request longer than the timeout.
                said = b"" if answer.status in self.success_status_codes else answer.read1(MAX_ANSWER_BYTES)
                return answer.status, said.decode("utf-8", "replace")
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None)
            failure = type(reason if isinstance(reason, Exception) else error).__name__
        # Without the error, whose text may have the address in it, and so its secrets.
        raise SinkError(f"{self} does not answer ({failure}): is it running, and can it be reached from here?")


def _origin(url: str) -> str:
    """The address without its path, which is often what gives access."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _is_json(payload: str | bytes) -> bool:
    """Whether a text is an object or an array already, as generators that were written for ``data=`` return it."""
    try:
        return isinstance(json.loads(payload), dict | list)
    except ValueError:
        return False


def _prepare(url: str, params: Any) -> tuple[str, dict[str, str]]:
    """Return the address with its parameters and without a password, and the header that carries that one."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises when it is no number
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError("The url of a FlaskChestCustomWriter must be http://HOST/PATH or https://HOST/PATH.")
    if not isinstance(params, str | bytes):
        pairs = dict(params or {}).items() if hasattr(params, "keys") else params or ()
        params = urlencode([(key, value) for key, value in pairs if value is not None], doseq=True)
    added = params.decode() if isinstance(params, bytes) else params
    query = "&".join(filter(None, (parts.query, added)))
    headers = {}
    if "@" in parts.netloc:
        pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()
        headers["Authorization"] = f"Basic {b64encode(pair).decode()}"
    path, query = quote(parts.path or "/", safe=IN_A_URL), quote(query, safe=IN_A_URL)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, query, "")), headers


def _make_opener(proxies: Mapping[str, str], verify: bool | str) -> OpenerDirector:  # noqa: FBT001 - as given
    """Without handlers of redirects and of errors: every status is an answer."""
    try:
        context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    except OSError as error:
        raise ConfigurationError(f"verify={verify!r} is no file of certificates ({error}): name another.") from None
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    opener = OpenerDirector()
    for handler in (ProxyHandler({**getproxies(), **proxies}), HTTPHandler(), HTTPSHandler(context=context)):
        opener.add_handler(handler)
    return opener
