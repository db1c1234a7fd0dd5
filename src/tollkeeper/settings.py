"""Every setting in one table, read from flags, the environment, a TOML file and the defaults, in this order."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct

from tollkeeper.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SETTINGS", "Setting", "Settings", "load_settings", "unknown_variables"]

FOREIGN = ("TOLLKEEPER_TEST_", "TOLLKEEPER_PORT_", "TOLLKEEPER_SERVICE_")
"""How variables begin that are not for us: those of the tests, and those that Kubernetes gives for a Service."""

Positive = Annotated[int, Meta(ge=1)]


def _help(text: str) -> Meta:
    return Meta(description=text)


class Settings(Struct, frozen=True, kw_only=True):
    """The values in force; each field is a setting, its annotation carries the help text."""

    store: Annotated[
        str, _help("Where the service keeps everything: sqlite:///PATH or postgresql://USER@HOST/DATABASE.")
    ] = "sqlite:///tollkeeper.db"
    host: Annotated[str, _help("Address that the service listens on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535), _help("Port that the service listens on; 0 takes a free one.")] = 8080
    workers: Annotated[Positive, _help("Processes that answer requests.")] = 1
    sink: Annotated[
        str, _help("Where captured events go: URLs as in docs/sinks.md, several with spaces between them.")
    ] = ""
    token: Annotated[str, _help("Token that the app or the terminal shows to the service.")] = ""
    queue_events: Annotated[
        Positive, _help("Captured events that wait in memory at most; more are dropped, counted.")
    ] = 10_000
    queue_bytes: Annotated[Positive, _help("Bytes of captured headers and bodies that wait in memory at most.")] = (
        64 * 2**20
    )
    batch_events: Annotated[Positive, _help("Captured events that leave in one batch at most.")] = 500
    flush_seconds: Annotated[float, Meta(gt=0), _help("Seconds that a captured event waits for company at most.")] = 1.0
    shutdown_seconds: Annotated[float, Meta(ge=0), _help("Seconds that the exit of the app waits for the queue.")] = 5.0
    spool: Annotated[str, _help("Folder in which captured events wait on disk until the sink has taken them.")] = ""
    spool_bytes: Annotated[Positive, _help("Bytes that the spool holds at most; more events are dropped, counted.")] = (
        2**30
    )
    spool_seconds: Annotated[
        float, Meta(gt=0), _help("Seconds until a captured event is in the spool, at most: what a kill -9 can lose.")
    ] = 0.2
    max_body_bytes: Annotated[Positive, _help("Size of an ingest request at most, unpacked, in bytes.")] = 16 * 2**20
    max_batch_events: Annotated[Positive, _help("Events in an ingest request at most.")] = 10_000
    max_event_bytes: Annotated[Positive, _help("Size of one event at most, in bytes.")] = 256 * 2**10
    session_hours: Annotated[Positive, _help("Hours that a login to the dashboard lasts.")] = 24 * 14
    login_link_minutes: Annotated[Positive, _help("Minutes that a one-time login link is valid.")] = 60
    tags_public: Annotated[
        bool, _help("Whether /create, /update, /get and /history of tags are open to everybody, without a token.")
    ] = False
    tag_history_days: Annotated[
        int, Meta(ge=1, le=36_500), _help("Days that a use of a tag stays in its history; its count stays for ever.")
    ] = 30
    lease_seconds: Annotated[
        float, Meta(gt=0, le=3600), _help("Seconds that an app may use a lease of quota without word from it.")
    ] = 10.0
    reservation_seconds: Annotated[
        float, Meta(gt=0, le=86_400), _help("Seconds until a reserved call that nobody reported comes back.")
    ] = 60.0
    gate: Annotated[str, _help("URL of the service that the gate in the app asks; without it, that of the sink.")] = ""
    gate_timeout: Annotated[
        float, Meta(gt=0, le=60), _help("Seconds that the gate in the app waits for the service at most.")
    ] = 1.0
    gate_folder: Annotated[
        str, _help("Folder in which a gate keeps what it used of its leases, for who comes after a crash.")
    ] = ""
    smtp: Annotated[
        str,
        _help("Mail server that messages go by: smtp://USER:PASSWORD@HOST:587 (STARTTLS) or smtps:// (TLS at once)."),
    ] = ""
    mail_from: Annotated[str, _help("Address that alerts and invoices come from.")] = ""
    public_url: Annotated[str, _help("Where people reach the dashboard, for links in messages.")] = ""
    webhook_private: Annotated[
        bool, _help("Whether webhooks may go to private addresses, such as those of one's own network.")
    ] = False
    invoice_from: Annotated[
        str, _help("First month that is invoiced by itself, as 2026-10; without it, 'tollkeeper invoices run' does.")
    ] = ""
    invoice_grace_days: Annotated[
        int, Meta(ge=0, le=90), _help("Days behind the end of a month until its invoices are final, for late events.")
    ] = 3
    invoice_net_days: Annotated[int, Meta(ge=0, le=365), _help("Days that customers have to pay an invoice.")] = 14
    invoice_prefix: Annotated[str, _help("What the numbers of invoices begin with.")] = "INV-"
    invoice_email: Annotated[bool, _help("Whether final invoices are sent to their customers by e-mail.")] = False
    seller_name: Annotated[str, _help("Who sends the invoices, as it stands on them.")] = ""
    seller_address: Annotated[str, _help("Address of who sends the invoices, its lines parted by |.")] = ""
    seller_email: Annotated[str, _help("E-mail address that stands on the invoices.")] = ""
    seller_tax_id: Annotated[str, _help("VAT or tax number of who sends the invoices.")] = ""


class Setting(Struct, frozen=True):
    """One row of the table."""

    name: str
    type: str
    default: str | int | float
    help: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"TOLLKEEPER_{self.name.upper()}"


def _table() -> tuple[Setting, ...]:
    kinds: dict[type, str] = {str: "text", int: "integer", float: "number", bool: "true or false"}
    rows = []
    for field in msgspec.structs.fields(Settings):
        _, text = _unwrap(field.type)
        default = str(field.default).lower() if isinstance(field.default, bool) else field.default
        rows.append(Setting(field.name, kinds[type(field.default)], default, text))
    return tuple(rows)


def _unwrap(annotation: Any) -> tuple[Any, str]:
    """What msgspec knows of a type, and the help text around it."""
    info = msgspec.inspect.type_info(annotation)
    text = ""
    while isinstance(info, msgspec.inspect.Metadata):
        text = (info.extra_json_schema or {}).get("description", text)
        info = info.type
    return info, text


SETTINGS: tuple[Setting, ...] = _table()


def load_settings(environ: Mapping[str, str] | None = None, *, file: Path | None = None, **overrides: Any) -> Settings:
    """Merge overrides that are not None over ``TOLLKEEPER_*`` over the TOML file over the defaults.

    The file is ``file``, else the one that ``TOLLKEEPER_CONFIG`` names, else none; an unknown name in it, an unreadable
    file or a value of the wrong type raises ConfigurationError.
    """
    environ = os.environ if environ is None else environ
    path = file or (Path(environ["TOLLKEEPER_CONFIG"]) if environ.get("TOLLKEEPER_CONFIG") else None)
    values: dict[str, Any] = _read(path) if path else {}
    places = dict.fromkeys(values, f" in {path}")
    for row in SETTINGS:
        if (value := environ.get(row.variable)) and not _is_of_kubernetes(row, value):
            values[row.name], places[row.name] = value, f" in {row.variable}"
    for name, value in overrides.items():
        if value is not None:
            values[name], places[name] = value, ""
    known = {row.name for row in SETTINGS}
    if unknown := sorted(values.keys() - known):
        raise ConfigurationError(
            f"Unknown setting {', '.join(unknown)}: docs/settings.md lists the {len(known)} known."
        )
    types = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    return Settings(**{name: _convert(name, value, types[name], places[name]) for name, value in values.items()})


def unknown_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """The environment variables that look like a setting and are none."""
    known = {row.variable for row in SETTINGS} | {"TOLLKEEPER_CONFIG", "TOLLKEEPER_UPDATE_DOCS"}
    names = os.environ if environ is None else environ
    return sorted(
        name for name in names if name.startswith("TOLLKEEPER_") and name not in known and not name.startswith(FOREIGN)
    )


def _is_of_kubernetes(row: Setting, value: str) -> bool:
    # Beside a Service named tollkeeper, Kubernetes gives each pod TOLLKEEPER_PORT=tcp://ADDRESS:PORT.
    return row.name == "port" and value.startswith("tcp://")


def _convert(name: str, value: Any, annotation: Any, place: str) -> Any:
    try:
        return msgspec.convert(value, annotation, strict=False)
    except msgspec.ValidationError:
        raise ConfigurationError(f"{name} is {value!r}{place}: give {_wanted(annotation)}.") from None


def _wanted(annotation: Any) -> str:
    info, _ = _unwrap(annotation)
    if isinstance(info, msgspec.inspect.StrType):
        return "a text"
    if isinstance(info, msgspec.inspect.BoolType):
        return "true or false"
    noun = "a whole number" if isinstance(info, msgspec.inspect.IntType) else "a number"
    if info.le is not None:
        return f"{noun} from {info.ge} to {info.le}"
    return f"{noun} above {info.gt:g}" if info.gt is not None else f"{noun}, {info.ge:g} or more"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"Cannot read the settings file {path}: {error}.") from None
