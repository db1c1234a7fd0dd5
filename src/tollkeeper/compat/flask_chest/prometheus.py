"""A chest that Prometheus scrapes from the app."""

from __future__ import annotations

import math
import numbers
import os
import re
import threading
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from flask import current_app, has_app_context
from flask.signals import request_started

from tollkeeper.compat.flask_chest.chest import FlaskChest
from tollkeeper.compat.flask_chest.exposition import decorates, serve
from tollkeeper.errors import ConfigurationError, SinkError
from tollkeeper.forks import call_at_fork
from tollkeeper.sinks.driver import import_driver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Flask

    from tollkeeper.compat.flask_chest.chest import Variable

__all__ = ["FlaskChestPrometheus"]

MAX_VARIABLES = 100
PREFIX = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_]")
COUNTERS = frozenset({"writes", "writes_total", "writes_created", "ignored", "ignored_total", "ignored_created"})


class FlaskChestPrometheus(FlaskChest):
    """Shows the last value of each numeric variable as the gauge ``{name_prefix}_{variable}``, in ``registry``.

    ``{name_prefix}_writes_total`` counts how often each variable was written, one that is no number, too. The request's
    id is no label. After 100 variables new ones are only counted, in ``{name_prefix}_ignored_total``. Without
    ``registry`` it has one of its own. Apps whose views have the chest serve it at ``/metrics``, unless that is a route
    of theirs: it can answer with ``expose()``.

    Raises:
        ConfigurationError: prometheus-client is missing, the prefix is none, or the registry has metrics of this name.
    """

    def __init__(self, name_prefix: str = "flask_chest", registry: Any = None) -> None:
        super().__init__()
        if not PREFIX.fullmatch(name_prefix):
            raise ConfigurationError(f"No metric can begin with {name_prefix!r}: use letters, digits and underscores.")
        self._driver = import_driver("prometheus_client", "prometheus")
        self.name_prefix = name_prefix
        self.registry = self._driver.CollectorRegistry() if registry is None else registry
        try:
            self._writes = self._driver.Counter(
                f"{name_prefix}_writes", "Times that a variable was written.", ["variable"], registry=self.registry
            )
            self._ignored = self._driver.Counter(
                f"{name_prefix}_ignored", "Writes of variables beyond those that are shown.", registry=self.registry
            )
        except ValueError:
            raise ConfigurationError(
                f"The registry has metrics named {name_prefix!r} already: give this chest another name_prefix."
            ) from None
        self._gauges: dict[str, Any] = {}
        self._variables: dict[str, str] = {}
        self._seen: WeakSet[Flask] = WeakSet()
        self._reset_lock()
        call_at_fork(after_in_child=self._reset_lock)
        request_started.connect(self._look_at)

    def to_dict(self) -> dict[str, Any]:
        """Describe the chest."""
        return {"type": "prometheus", "name_prefix": self.name_prefix}

    def write(self, context_tuple_list: Sequence[Variable]) -> None:
        """Set the gauges of the variables that are numbers; the others are only counted.

        Raises:
            SinkError: the names of some are taken by other variables or metrics; the others are written.
        """
        if has_app_context():
            serve(current_app._get_current_object(), self)  # type: ignore[attr-defined]  # noqa: SLF001 - the app behind it
        wrong = [name for name, value, _ in context_tuple_list if not self._take(name, value)]
        if wrong:
            raise SinkError(
                f"{wrong} are names of other metrics, which only letters, digits and _ tell apart: rename them.",
                retry=False,
            )

    def expose(self) -> bytes:
        """What Prometheus reads, of all processes where ``PROMETHEUS_MULTIPROC_DIR`` is set."""
        registry = self.registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = self._driver.CollectorRegistry()
            import_driver("prometheus_client.multiprocess", "prometheus").MultiProcessCollector(registry)
        text: bytes = self._driver.generate_latest(registry)
        return text

    def _take(self, name: str, value: Any) -> bool:
        """Return whether the name is free for this variable."""
        metric = self._metric(name)
        if metric is None:
            self._ignored.inc()
            return True
        if not metric:
            return False
        if isinstance(value, numbers.Real | Decimal):
            gauge = self._gauge(metric)
            if gauge is None:
                return False
            gauge.set(_number(value))
        self._writes.labels(name).inc()
        return True

    def _metric(self, name: str) -> str | None:
        """The metric of a variable, "" when another variable has it, None when there are too many."""
        part = NOT_IN_A_NAME.sub("_", name)
        owner = self._variables.get(part)
        if owner is None:
            with self._lock:
                if len(self._variables) >= MAX_VARIABLES:
                    return None
                owner = self._variables.setdefault(part, name)
        return f"{self.name_prefix}_{part}" if owner == name and part not in COUNTERS else ""

    def _gauge(self, metric: str) -> Any:
        gauge = self._gauges.get(metric)
        if gauge is None:
            with self._lock:
                gauge = self._gauges.get(metric)
                if gauge is None:
                    text = "The last value that was written."
                    with suppress(ValueError):  # the registry has another metric of this name
                        gauge = self._gauges[metric] = self._driver.Gauge(
                            metric, text, registry=self.registry, multiprocess_mode="mostrecent"
                        )
        return gauge

    def _look_at(self, app: Flask, **_: Any) -> None:
        """At the first request of an app, find out whether this chest is one of its own."""
        if app not in self._seen:
            self._seen.add(app)
            with suppress(Exception):  # a view may be anything; the first write finds the app in any case
                if decorates(app, self):
                    serve(app, self)

    def _reset_lock(self) -> None:
        self._lock = threading.Lock()


def _number(value: Any) -> float:
    """As Prometheus has it: NaN where 64 bits cannot hold it."""
    try:
        return float(value)
    except (OverflowError, ValueError):
        return math.nan
