"""The same app twice in this process: as it is, and watched."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import time
from typing import TYPE_CHECKING, Any, Self

import pytest

from conformance.capture.apps.making import make_app
from conformance.capture.in_process import call_asgi, call_wsgi
from conformance.capture.lifespan import Lifespan
from tollkeeper.capture.recorder import Recorder
from tollkeeper.sinks.memory import MemorySink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.capture.case import Case, Run
    from conformance.capture.talk import Talk

__all__ = ["HostedPair"]

SECONDS = 10


@contextlib.contextmanager
def _closing() -> Iterator[None]:
    """Close what has been recording by the end of the block: its threads would go on, and slow down all later tests."""
    recorders: list[Recorder] = []
    make = Recorder.__init__

    def note(recorder: Recorder, *args: Any, **options: Any) -> None:
        make(recorder, *args, **options)
        recorders.append(recorder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recorder, "__init__", note)
        yield
    for recorder in recorders:
        assert recorder.close(SECONDS)


class Hosted:
    """An app in this process, on an event loop of its own if it needs one."""

    def __init__(self, run: Run, app: Any) -> None:
        self._kind, self._app = run.kind, app
        self._lifespan = Lifespan(app)
        self._runner = asyncio.Runner()
        if run.kind == "asgi":
            self._runner.run(self._lifespan.start())

    def talk(self, case: Case) -> Talk:
        """Run a case."""
        if self._kind == "wsgi":
            return call_wsgi(self._app, case)
        return self._runner.run(call_asgi(self._app, case, self._lifespan.state))

    def close(self) -> None:
        """Let the app end."""
        if self._kind == "asgi":
            self._runner.run(self._lifespan.stop())
        self._runner.close()


class HostedPair:
    """Both of them, made by ``with``, in the surroundings that the framework needs."""

    def __init__(self, run: Run, **options: Any) -> None:
        self._run, self._options = run, options
        self._open = contextlib.ExitStack()
        self.sink = MemorySink()

    def __enter__(self) -> Self:
        module = importlib.import_module(f"conformance.capture.apps.{self._run.app.partition(':')[0]}")
        propagate = self._options.get("propagate", False)
        self._open.enter_context(_closing())
        if hasattr(module, "surroundings"):
            self._open.enter_context(module.surroundings(propagate=propagate))
        self.bare = self._hosted(make_app(self._run.app, None, **self._options))
        self.watched = self._hosted(make_app(self._run.app, self.sink, **self._options))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _hosted(self, app: Any) -> Hosted:
        hosted = Hosted(self._run, app)
        self._open.callback(hosted.close)
        return hosted

    def events(self, agent: str, due: int) -> list[dict[str, Any]]:
        """Wait for the events of a user agent, in the order in which they began."""
        until = time.monotonic() + SECONDS
        while len(found := [event for event in self.sink.events if event.client.user_agent == agent]) < due:
            assert time.monotonic() < until, f"{len(found)} events instead of {due}"
            time.sleep(0.002)
        return [event.document() for event in sorted(found, key=lambda event: event.time)]
