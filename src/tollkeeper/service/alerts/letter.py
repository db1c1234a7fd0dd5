"""The e-mail of an alert: plain text, and HTML that needs no picture and no style sheet from afar."""

from __future__ import annotations

import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from html import escape
from typing import TYPE_CHECKING

from tollkeeper.errors import ConfigurationError, UnprocessableError
from tollkeeper.service.alerts.wording import words_for

if TYPE_CHECKING:
    from tollkeeper.service.alerts.wording import Words
    from tollkeeper.settings import Settings
    from tollkeeper.store.operations import Message

__all__ = ["check_address", "letter_for"]

ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*")
MAX_ADDRESS = 254
SUBJECT_LENGTH = 150
RED, BLUE = "#b42318", "#175cd3"
FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
PAGE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{headline}</title>
</head><body style="margin:0;padding:0;background:#f2f4f7">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="background:#f2f4f7"><tr>
<td align="center" style="padding:32px 12px">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="max-width:560px;background:#ffffff;\
border:1px solid #e4e7ec;border-top:4px solid {color};border-radius:8px"><tr>
<td style="padding:28px 32px;{font};color:#101828;overflow-wrap:anywhere;word-break:break-word">
<p style="margin:0 0 12px;font-size:13px;line-height:18px;color:#475467">Tollkeeper &middot; {rule}</p>
<h1 style="margin:0 0 12px;font-size:21px;line-height:28px;font-weight:600">{headline}</h1>
<p style="margin:0 0 24px;font-size:15px;line-height:23px;color:#344054">{sentence}</p>
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="border-collapse:collapse;font-size:14px;\
line-height:20px">{facts}</table>{button}
</td></tr></table>
<p style="max-width:560px;margin:16px 0 0;{font};font-size:12px;line-height:18px;color:#475467">{foot}</p>
</td></tr></table></body></html>
"""
FACT = (
    '<tr><td style="padding:8px 16px 8px 0;border-top:1px solid #e4e7ec;color:#475467;vertical-align:top;'
    'white-space:nowrap;width:1%">{}</td>'
    '<td style="padding:8px 0;border-top:1px solid #e4e7ec">{}</td></tr>'
)
BUTTON = (
    '<p style="margin:24px 0 0"><a href="{}" style="display:inline-block;padding:10px 18px;border-radius:6px;'
    'background:#175cd3;color:#ffffff;font-size:14px;font-weight:600;text-decoration:none">Open the dashboard</a></p>'
)
FOOT = "An alert rule of Tollkeeper sent this. Whoever runs it can change or pause the rule."


def check_address(address: str) -> str:
    """Refuse what is no e-mail address of ASCII; raises UnprocessableError."""
    if len(address) > MAX_ADDRESS or not ADDRESS.fullmatch(address):
        raise UnprocessableError("The address is no e-mail address: give one like ops@example.com.")
    return address


def letter_for(message: Message, to: str, settings: Settings) -> EmailMessage:
    """Write the letter, with the same Message-ID in every try; raises ConfigurationError without a sender."""
    name, sender = parseaddr(settings.mail_from)
    if not ADDRESS.fullmatch(sender):
        raise ConfigurationError("There is no sender for e-mail: set mail_from to an address like alerts@example.com.")
    words = words_for(message, settings.public_url)
    letter = EmailMessage(policy=SMTP)
    letter["From"] = Address(display_name=_plain(name) or "Tollkeeper", addr_spec=sender)
    letter["To"] = Address(addr_spec=check_address(to))
    letter["Subject"] = words.headline[:SUBJECT_LENGTH]
    letter["Date"] = format_datetime(message.created_at)
    letter["Message-ID"] = f"<{message.id}@{sender.rpartition('@')[2]}>"
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(_text(words))
    letter.add_alternative(_html(words, str(message.document.get("rule") or "Alert")), subtype="html")
    return letter


def _text(words: Words) -> str:
    width = max(len(label) for label, _ in words.facts) + 2
    lines = [words.headline, "", words.sentence, ""]
    lines += [f"{label + ':':<{width}}{value}" for label, value in words.facts]
    lines += ["", words.link] if words.link else []
    return "\n".join([*lines, "", "-- ", FOOT, ""])


def _html(words: Words, rule: str) -> str:
    return PAGE.format(
        headline=escape(words.headline),
        sentence=escape(words.sentence),
        rule=escape(_plain(rule)),
        facts="".join(FACT.format(escape(label), escape(value)) for label, value in words.facts if label != "Rule"),
        button=BUTTON.format(escape(words.link)) if words.link else "",
        color=RED if words.urgent else BLUE,
        font=FONT,
        foot=FOOT,
    )


def _plain(text: str) -> str:
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:255]
