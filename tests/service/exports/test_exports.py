"""Charges, invoices and events as files: what is in them, and that they agree to the cent."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from support.billed import NOW, at
from support.usage import make_event
from tollkeeper.errors import InvalidRequestError, MissingDependencyError
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.exports import issued, writing
from tollkeeper.service.exports import parquet as parquet_module
from tollkeeper.service.exports.charges import export_charges
from tollkeeper.service.exports.events import export_events
from tollkeeper.service.exports.invoices import export_invoices
from tollkeeper.service.exports.parquet import load_pyarrow
from tollkeeper.service.exports.span import export_span
from tollkeeper.service.exports.tables import Column, Export
from tollkeeper.service.exports.writing import write_export
from tollkeeper.settings import Settings
from tollkeeper.store.invoices import Invoice, IssuedCreditNote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tollkeeper.service.bootstrap import Service
    from tollkeeper.service.exports.tables import Cell
    from tollkeeper.service.exports.writing import FileFormat

WHOLE = (at(9), at(12))
parquet = load_pyarrow().parquet


def read_csv(export: Export) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(write_export(export, "csv")).decode(), newline="")))


def read_parquet(export: Export) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = parquet.read_table(io.BytesIO(b"".join(write_export(export, "parquet")))).to_pylist()
    return rows


def test_charges_add_up_to_the_invoices_and_notes_of_the_time(service: Service) -> None:
    rows = read_csv(export_charges(service.catalog, *WHOLE))
    with service.catalog.reading() as records:
        documents: list[Invoice | IssuedCreditNote] = [
            *records.find(Invoice, state=["finalized", "paid"]),
            *records.find(IssuedCreditNote),
        ]
    assert len(documents) == 10
    for one in documents:
        nets = [Decimal(row["net"]) for row in rows if row["document"] == one.number]
        assert sum(nets) == (-one.net if isinstance(one, IssuedCreditNote) else one.net)
    assert {row["document"] for row in rows} == {one.number for one in documents}


def test_a_charge_says_what_it_is_for(service: Service) -> None:
    rows = read_csv(export_charges(service.catalog, at(10), at(11)))
    call = next(row for row in rows if row["customer_name"] == "Bolt" and row["kind"] == "usage")
    assert (call["plan_name"], call["api_name"], call["name"], call["quantity"], call["currency"], call["net"]) == (
        "basic",
        "orders",
        "GET /orders/{id}",
        "700",
        "EUR",
        "8.75",
    )
    assert (call["starts_at"], call["issued_at"]) == ("2026-09-01T00:00:00Z", "2026-10-10T00:00:00Z")
    notes = [
        row for row in read_csv(export_charges(service.catalog, at(11, 11), at(12))) if row["document"][:2] == "CN"
    ]
    assert [(row["kind"], row["line"], row["net"], row["quantity"]) for row in notes] == [
        ("credit_note", "1", "-10.01", ""),
        ("credit_note", "3", "-1.20", ""),
    ]
    assert {row["invoice"] for row in notes} == {"INV-000005"}


def test_invoices_say_what_they_come_to(service: Service) -> None:
    rows = read_parquet(export_invoices(service.catalog, *WHOLE))
    with service.catalog.reading() as records:
        found = records.find(Invoice, state=["finalized", "paid"])
    assert [(row["document"], row["total"], row["due"]) for row in rows[:-1]] == [
        (one.number, one.total, one.due) for one in found
    ]
    note = rows[-1]
    assert (note["kind"], note["document"], note["invoice"]) == ("credit_note", "CN-000001", "INV-000005")
    assert (note["net"], note["tax"], note["total"]) == (Decimal("-11.21"), Decimal("-2.13"), Decimal("-13.34"))
    assert note["due"] is note["due_at"] is note["paid_at"] is None
    assert {row["state"] for row in rows} == {"paid", "finalized"}


def test_only_what_was_issued_in_the_time_is_there(service: Service) -> None:
    assert len(read_csv(export_invoices(service.catalog, at(10, 10), at(11, 10)))) == 4
    assert read_csv(export_charges(service.catalog, at(9), at(10, 10))) == []


def test_pages_make_no_difference(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read_csv(export_charges(service.catalog, *WHOLE))
    monkeypatch.setattr(issued, "PAGE", 1)
    monkeypatch.setattr(writing, "BATCH", 3)
    assert read_csv(export_charges(service.catalog, *WHOLE)) == whole


def test_events_come_with_what_a_call_was(service: Service) -> None:
    rows = read_parquet(export_events(service.events, at(9), at(10)))
    assert len(rows) == 400 + 700 + 10 + 3 + 80
    assert [row["time"] for row in rows] == sorted((row["time"] for row in rows), reverse=True)
    assert len({row["seq"] for row in rows}) == len(rows)
    first = rows[-1]
    assert (first["method"], first["route"], first["status_code"]) == ("GET", "/orders/{id}", 200)
    assert (first["units"], first["elapsed_seconds"]) == (1, Decimal("0.010000000000000000"))
    assert "headers" not in first


def test_events_without_details_have_empty_cells() -> None:
    service = open_service(Settings(store="memory:"))
    service.events.append([("app", DecodedBatch(1, [make_event(time=at(9))], []))])
    (row,) = read_csv(export_events(service.events, *WHOLE))
    assert (row["consumer"], row["elapsed_seconds"], row["response_bytes"]) == ("", "", "")


COLUMNS = (
    Column("name"),
    Column("count", "integer"),
    Column("net", "money"),
    Column("rate", "number"),
    Column("at", "time"),
)


def sample() -> Export:
    rows: list[tuple[Cell, ...]] = [
        ("=1+1", -1, Decimal("-1.50"), Decimal("0.0125"), NOW),
        ("@x", 2, Decimal("0.001"), Decimal(3), None),
        ('a,"b"\r\nc', None, None, None, None),
    ]
    return Export(COLUMNS, rows)


def test_texts_are_no_formulas_and_numbers_stay_numbers() -> None:
    first, second, third = read_csv(sample())
    assert (first["name"], first["count"], first["net"], first["at"]) == (
        "'=1+1",
        "-1",
        "-1.50",
        "2026-11-16T00:00:00Z",
    )
    assert (second["name"], third["name"], third["net"]) == ("'@x", 'a,"b"\r\nc', "")


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1"])
def test_whatever_may_begin_a_formula_is_quoted(text: str) -> None:
    (row,) = read_csv(Export(COLUMNS, [(text, None, None, None, None)]))
    assert row["name"] == f"'{text}"


def test_json_lines_are_as_they_are() -> None:
    lines = [json.loads(line) for line in b"".join(write_export(sample(), "jsonl")).splitlines()]
    assert lines[0] == {"name": "=1+1", "count": -1, "net": "-1.50", "rate": "0.0125", "at": "2026-11-16T00:00:00Z"}
    assert lines[2]["net"] is None


def test_parquet_has_exact_types() -> None:
    file = io.BytesIO(b"".join(write_export(sample(), "parquet")))
    schema = parquet.read_schema(file)
    assert [str(field.type) for field in schema] == [
        "string",
        "int64",
        "decimal128(38, 4)",
        "decimal128(38, 18)",
        "timestamp[us, tz=UTC]",
    ]
    assert parquet.read_table(file).column("net").to_pylist() == [Decimal("-1.5000"), Decimal("0.0010"), None]


@pytest.mark.parametrize("file_format", ["csv", "jsonl", "parquet"])
def test_nothing_is_a_file_as_well(file_format: FileFormat) -> None:
    data = b"".join(write_export(Export(COLUMNS, []), file_format))
    if file_format == "parquet":
        assert parquet.read_table(io.BytesIO(data)).num_rows == 0
    else:
        assert data == (b"" if file_format == "jsonl" else b"name,count,net,rate,at\r\n")


def test_a_file_is_made_while_rows_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_module, "GROUP", 2)
    monkeypatch.setattr(writing, "BATCH", 2)
    taken: list[int] = []

    def rows() -> Iterator[tuple[Cell, ...]]:
        for number in range(10):
            taken.append(number)
            yield str(number), number, None, None, None

    formats: tuple[FileFormat, ...] = ("csv", "jsonl", "parquet")
    for file_format in formats:
        taken.clear()
        pieces = write_export(Export(COLUMNS, rows()), file_format)
        next(pieces)
        assert len(taken) <= 2
        assert len(list(pieces)) >= 4


def test_a_number_that_parquet_can_not_hold_is_left_out() -> None:
    most = Decimal(10**20 - 1)
    export = Export((Column("quantity", "number"),), ((number,) for number in (most + 1, most, None, -most - 1)))
    assert [row["quantity"] for row in read_parquet(export)] == [None, most, None, None]


def test_without_pyarrow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(parquet_module, "import_module", missing)
    with pytest.raises(MissingDependencyError, match=r"tollkeeper\[parquet\]"):
        write_export(sample(), "parquet")


def test_the_time_of_an_export() -> None:
    assert export_span(None, None, NOW) == (at(10), at(11))
    assert export_span("2026-09-05", None, NOW) == (at(9, 5), NOW)
    assert export_span(None, "2026-10-05", NOW) == (at(10), at(10, 5))
    with pytest.raises(InvalidRequestError, match="from < to"):
        export_span("2026-10-05", "2026-10-05", NOW)
