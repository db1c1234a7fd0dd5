"""The mail server: found by a URL, spoken to over TLS, and never shown a password in the clear."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from tollkeeper.errors import ConfigurationError, SinkError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage

__all__ = ["MailServer", "mail", "mail_server"]

SECONDS = 10.0
PORTS = {"smtp": 587, "smtps": 465}
PERMANENT = 500
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class MailServer(Struct, frozen=True, kw_only=True):
    """Where mail goes out; ``implicit`` is TLS from the first byte, otherwise STARTTLS."""

    host: str
    port: int
    implicit: bool
    user: str | None = None
    password: str = ""

    def __repr__(self) -> str:
        return f"MailServer(host={self.host!r}, port={self.port})"

    @property
    def trusted(self) -> bool:
        """Whether mail may go there without TLS: to a relay on this very machine, which asks for no password."""
        return self.user is None and self.host in LOCAL


def mail_server(url: str) -> MailServer:
    """Read the setting ``smtp``; raises ConfigurationError, which does not repeat it."""
    wanted = "set smtp to smtp://USER:PASSWORD@HOST:587 or smtps://USER:PASSWORD@HOST, special characters as %XX."
    if not url:
        raise ConfigurationError(f"There is no mail server: {wanted}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in PORTS or parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigurationError(f"The setting smtp is no URL of a mail server: {wanted}")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not (user + password).isascii():
        raise ConfigurationError(f"The setting smtp has a user or a password that is not ASCII: {wanted}")
    return MailServer(
        host=host,
        port=port or PORTS[parts.scheme],
        implicit=parts.scheme == "smtps",
        user=user or None,
        password=password,
    )


def mail(server: MailServer, letter: EmailMessage, *, seconds: float = SECONDS) -> None:
    """Send one letter; returns when the server has it.

    Raises SinkError: with ``retry=False`` when the server refuses the recipient or the text for good; what it has
    against us, the sender or the login can be put right, and the letter is the same then. Neither the password nor what
    the server answers to it is in the message.
    """
    try:
        with _connected(server, seconds) as smtp:
            smtp.send_message(letter)
    except smtplib.SMTPAuthenticationError as error:
        raise SinkError(f"The mail server refuses the login ({error.smtp_code}): correct the setting smtp.") from None
    except smtplib.SMTPRecipientsRefused as error:
        code = next((code for code, _ in error.recipients.values()), PERMANENT)
        raise SinkError(f"The mail server refuses the recipient ({code}).", retry=code < PERMANENT) from None
    except smtplib.SMTPSenderRefused as error:
        raise SinkError(
            f"The mail server refuses the sender ({error.smtp_code}): correct the settings smtp and mail_from."
        ) from None
    except smtplib.SMTPDataError as error:
        raise SinkError(f"The mail server answered {error.smtp_code}.", retry=error.smtp_code < PERMANENT) from None
    except smtplib.SMTPResponseException as error:  # the greeting, HELO or STARTTLS
        raise SinkError(f"The mail server {server.host}:{server.port} answered {error.smtp_code}.") from None
    except ssl.SSLCertVerificationError as error:
        raise SinkError(f"The certificate of {server.host} is not good: {error.verify_message}.") from None
    except (OSError, smtplib.SMTPException) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise SinkError(f"The mail server {server.host}:{server.port} cannot be reached: {reason}.") from None


@contextlib.contextmanager
def _connected(server: MailServer, seconds: float) -> Iterator[smtplib.SMTP]:
    context = ssl.create_default_context()
    smtp: smtplib.SMTP
    if server.implicit:
        smtp = smtplib.SMTP_SSL(server.host, server.port, timeout=seconds, context=context)
    else:
        smtp = smtplib.SMTP(server.host, server.port, timeout=seconds)
    try:
        smtp.ehlo_or_helo_if_needed()
        if not server.implicit and not server.trusted:
            _start_tls(smtp, server, context)
        if server.user is not None:
            smtp.login(server.user, server.password)
        yield smtp
        with contextlib.suppress(OSError, smtplib.SMTPException):
            smtp.quit()
    finally:
        smtp.close()


def _start_tls(smtp: smtplib.SMTP, server: MailServer, context: ssl.SSLContext) -> None:
    if not smtp.has_extn("starttls"):
        raise SinkError(
            f"The mail server {server.host}:{server.port} offers no STARTTLS, so nothing is sent to it: use another"
            " port, or smtps://."
        )
    smtp.starttls(context=context)
    smtp.ehlo_or_helo_if_needed()
