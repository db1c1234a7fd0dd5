"""The whole of Tollkeeper on this machine: a service on an empty file, a history, a shop, and customers.

It ends with Ctrl-C. With ``--once`` it sends a fixed number of requests, checks that every figure adds up, and ends.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__: list[str] = []

HERE = Path(__file__).resolve().parent
TOLLKEEPER = (sys.executable, "-m", "tollkeeper.cli")
START_SECONDS, ARRIVE_SECONDS, END_SECONDS = 45.0, 20.0, 15.0
ONCE_REQUESTS, ONCE_RATE, RATE, BURST = 400, 60.0, 1.0, 40
LOG_DAYS, LOG_REQUESTS = 60, 220_000
STATUS = re.compile(r'" (\d{3}) ')

console = Console(highlight=False, soft_wrap=True)


class Demo:
    """Runs programs in one directory, each with a log of its own, and ends those that it started."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith("TOLLKEEPER_")}
        self._environ |= {"PYTHONUNBUFFERED": "1", "TOLLKEEPER_GATE_FOLDER": str(directory / "gate")}
        self._environ |= {
            "TOLLKEEPER_SELLER_NAME": "The Example Shop",
            "TOLLKEEPER_SELLER_ADDRESS": "1 Market Road|Anytown",
        }
        self.store = f"sqlite:///{directory / 'tollkeeper.db'}"

    @contextmanager
    def running(self, name: str, *command: str, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a program beside this one, and end it by its process id."""
        with self.output(name).open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own programs
                command, stdout=log, stderr=log, env=self._environ | environ, start_new_session=True
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def output(self, name: str) -> Path:
        """The file that a program's output goes to."""
        return self._directory / f"{name}.log"

    def said(self, name: str) -> str:
        """What a program has printed so far."""
        return self.output(name).read_text(encoding="utf-8", errors="replace")

    def wait_for(self, name: str, process: subprocess.Popen[bytes], pattern: str) -> str:
        """Wait until a program has printed something, and return the first group of it."""
        until = time.monotonic() + START_SECONDS
        while True:
            over = process.poll() is not None or time.monotonic() > until
            if match := re.search(pattern, self.said(name)):
                return match[1]
            if over:
                fail(f"The {name} did not do what it should. It said:\n{self.said(name)}")
            time.sleep(0.05)

    def tollkeeper(self, *arguments: str) -> str:
        """Run a command of Tollkeeper on the demo's store and return what it prints."""
        command = [*TOLLKEEPER, *arguments, "--store", self.store]
        done = subprocess.run(command, capture_output=True, text=True, env=self._environ, check=False)  # noqa: S603 - ours
        if done.returncode:
            fail(f"tollkeeper {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def books(self) -> dict[str, int]:
        """How many events of each source the store has, by ``tollkeeper reconcile``."""
        found = json.loads(self.tollkeeper("reconcile", "--json"))
        return {row["source"]: row["stored"] for row in found["books"]}

    def statuses(self) -> Counter[str]:
        """How many requests ended in each status, by ``tollkeeper usage``."""
        rows = json.loads(self.tollkeeper("usage", "--by", "status", "--json"))
        return Counter({str(row["status"]): row["requests"] for row in rows})


def fail(message: str) -> NoReturn:
    """End the demo, and all that it started, with what went wrong."""
    Console(stderr=True, highlight=False).print(message, style="red", markup=False)
    sys.exit(1)


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", action="store_true", help="send a fixed number of requests, check, print and end")
    parser.add_argument("--port", type=int, default=0, help="port of the service; default: a free one")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # not under nohup
        signal.signal(signal.SIGHUP, lambda *_: sys.exit(1))  # the terminal was closed
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also when started in the background
    with tempfile.TemporaryDirectory(prefix="tollkeeper-demo-") as directory, ExitStack() as stack:
        try:
            play(Demo(Path(directory)), stack, once=chosen.once, port=chosen.port)
        except KeyboardInterrupt:
            console.print("\nEnding the customers, the shop and the service.")


def play(demo: Demo, stack: ExitStack, *, once: bool, port: int) -> None:
    """Start everything in its order, and then watch or check."""
    console.print("Starting the service on an empty file ...")
    service = stack.enter_context(
        demo.running("service", *TOLLKEEPER, "serve", "--port", str(port), "--store", demo.store)
    )
    login = demo.wait_for("service", service, r"(http://\S+/login/\S+)")
    address = login.partition("/login/")[0]
    console.print(f"Importing an access log of {LOG_DAYS} days, {LOG_REQUESTS:,} lines ...")
    logged = import_history(demo)
    token = demo.tollkeeper("token", "create", "shop", "--scope", "ingest").splitlines()[0]
    console.print("Opening the shop ...")
    shop = stack.enter_context(
        demo.running(
            "shop",
            *(sys.executable, str(HERE / "shop" / "app.py"), "--port", "0", "--sink", address),
            TOLLKEEPER_TOKEN=token,
        )
    )
    shop_address = demo.wait_for("shop", shop, r"(http://\S+)")
    traffic = (sys.executable, str(HERE / "traffic.py"), shop_address)
    if once:
        check(demo, logged, send_once(demo, traffic))
        return
    console.print("Selling the API to the customers, and billing them for last month ...")
    bill(demo, address)
    stack.enter_context(demo.running("customers", *traffic, "--rate", str(RATE), "--burst", str(BURST)))
    invite(login, shop_address)
    while service.poll() is None:
        time.sleep(0.5)
    fail(f"The service ended. It said:\n{demo.said('service')}")


def invite(login: str, shop: str) -> None:
    """Print where to go, framed by rules alone, so that the link can be copied whole from a narrow terminal."""
    console.rule("[bold]Tollkeeper[/]", style="green")
    console.print(f"\n  Open  [bold green]{login}[/]\n")
    console.print(f"  The shop is at {shop}; its customers keep calling.")
    console.print("  Ctrl-C ends all of it.\n")
    console.rule(style="green")


def import_history(demo: Demo) -> Counter[str]:
    """Make a log that ends now, import it, and count its lines by status without Tollkeeper."""
    log = demo.output("access").with_suffix(".log.gz")
    end = datetime.now(UTC).replace(microsecond=0)
    size = ("--days", str(LOG_DAYS), "--requests", str(LOG_REQUESTS))
    maker = [sys.executable, str(HERE / "make_access_log.py"), str(log), "--keys", "--end", end.isoformat(), *size]
    subprocess.run(maker, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program
    demo.tollkeeper("import", "access-log", str(log), "--consumer", "user")
    with gzip.open(log, "rt", encoding="utf-8") as lines:
        return Counter(match[1] for match in map(STATUS.search, lines) if match)


def bill(demo: Demo, address: str) -> None:
    """Give the API prices, subscribe customers, and make the invoices of last month and the drafts of this one."""
    demo.tollkeeper("catalog", "apply", str(HERE / "shop" / "catalogue.toml"), "--yes")
    token = demo.tollkeeper("token", "create", "books", "--scope", "admin").splitlines()[0]
    now = datetime.now(UTC)
    last = (now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)).replace(day=1)
    seller = [sys.executable, str(HERE / "sell.py"), address, "--start", last.isoformat()]
    subprocess.run(seller, check=True, env=os.environ | {"TOLLKEEPER_TOKEN": token})  # noqa: S603 - our own program
    for month in (last, now):
        demo.tollkeeper("invoices", "run", "--period", f"{month:%Y-%m}")


def send_once(demo: Demo, traffic: tuple[str, ...]) -> Counter[str]:
    """Send the fixed number of requests and return what the customers saw, by status."""
    console.print(f"Sending {ONCE_REQUESTS} requests ...")
    options = ("--requests", str(ONCE_REQUESTS), "--rate", str(ONCE_RATE))
    with demo.running("customers", *traffic, *options) as customers:
        seen: dict[str, Any] = json.loads(demo.wait_for("customers", customers, r"(\{.*\})"))
    return Counter(seen["by_status"])


def check(demo: Demo, logged: Counter[str], seen: Counter[str]) -> None:
    """Wait until all has arrived, compare the figures, print them, and fail when one differs."""
    until = time.monotonic() + ARRIVE_SECONDS
    while demo.books().get("shop", 0) < seen.total() and time.monotonic() < until:
        time.sleep(0.2)
    books, statuses = demo.books(), demo.statuses()
    figures = [
        ("lines of the access log = events imported", logged.total(), books.get("access-log", 0)),
        ("requests sent = events of the shop", seen.total(), books.get("shop", 0)),
        ("requests asked for = requests sent", ONCE_REQUESTS, seen.total()),
    ]
    expected = logged + seen
    figures += [
        (f"answers with {status}", expected[status], statuses[status]) for status in sorted(expected | statuses)
    ]
    table = Table("figure", "expected", "in Tollkeeper", "", title="The figures")
    for name, wanted, found in figures:
        table.add_row(name, f"{wanted:,}", f"{found:,}", "[green]equal[/]" if wanted == found else "[red]differs[/]")
    console.print(table)
    if any(wanted != found for _, wanted, found in figures):
        fail(f"The figures differ. The shop said:\n{demo.said('shop')}")
    console.print("[green]Every figure adds up, and 'tollkeeper reconcile' says so too.[/]")


if __name__ == "__main__":
    main()
