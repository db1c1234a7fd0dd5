"""Billing profiles: what a customer's invoices need to know, each with defaults until somebody says otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict, replace

from tollkeeper.billing.customer import Customer
from tollkeeper.billing.tax import TaxRate
from tollkeeper.errors import ConflictError, UnprocessableError
from tollkeeper.events.ids import record_id
from tollkeeper.service.fields import Name
from tollkeeper.service.listing import find_record
from tollkeeper.store.selling import BillingProfile, InvoiceItem

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit
    from tollkeeper.store.protocols import Records

__all__ = ["ProfilePatch", "ProfileView", "show_profile", "update_profile"]

Language = Annotated[
    str,
    Meta(
        max_length=35, pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$(?!\n)", description="BCP 47 tag, e.g. de or pt-BR."
    ),
]
NetDays = Annotated[int, Meta(ge=0, le=3650)]
Taxes = Annotated[list[TaxRate], Meta(max_length=10)]
MAX_NAME = 255


class ProfilePatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be changed of a profile; null takes a value away, ``taxes`` take the place of all that there are."""

    legal_name: Name | UnsetType | None = UNSET
    tax_id: Name | UnsetType | None = UNSET
    language: Language | UnsetType = UNSET
    taxes: Taxes | UnsetType = UNSET
    tax_inclusive: bool | UnsetType = UNSET
    net_days: NetDays | UnsetType | None = UNSET


class ProfileView(Struct, frozen=True, kw_only=True):
    """What the invoices of a ``customer`` need to know; ``net_days`` of null is what the setting says."""

    customer: str
    legal_name: str | None
    tax_id: str | None
    language: str
    taxes: list[TaxRate]
    tax_inclusive: bool
    net_days: int | None


def show_profile(records: Records, customer_id: str) -> ProfileView:
    """The profile of a customer as it is shown; raises NotFoundError."""
    customer = find_record(records, Customer, customer_id)
    found = records.find(BillingProfile, customer=customer.id)
    values = asdict(found[0] if found else BillingProfile(id="", customer=customer.id, created_at=customer.created_at))
    taxes = msgspec.convert(values["taxes"].get("rates", []), list[TaxRate])
    return ProfileView(**{name: values[name] for name in ProfileView.__struct_fields__} | {"taxes": taxes})


def update_profile(edit: Edit, customer_id: str, patch: ProfilePatch) -> BillingProfile:
    """Change what is named of a profile; raises NotFoundError, ConflictError or UnprocessableError."""
    customer = find_record(edit.records, Customer, customer_id)
    values: dict[str, Any] = {name: value for name, value in asdict(patch).items() if value is not UNSET}
    if patch.taxes is not UNSET:
        _check_taxes(edit.records, customer.id, patch.taxes)
        values["taxes"] = {"rates": msgspec.to_builtins(patch.taxes)} if patch.taxes else {}
    found = edit.records.find(BillingProfile, customer=customer.id)
    if found:
        changed = replace(found[0], **values)
        edit.replace(found[0], changed)
        return changed
    made = BillingProfile(id=record_id("bpr"), customer=customer.id, created_at=edit.now, **values)
    edit.add(made)
    return made


def _check_taxes(records: Records, customer_id: str, taxes: list[TaxRate]) -> None:
    names = [rate.name for rate in taxes]
    for name in names:
        if not 1 <= len(name) <= MAX_NAME:
            raise UnprocessableError(f"The name of a tax has {len(name)} characters: give 1 to {MAX_NAME}.")
        if names.count(name) > 1:
            raise UnprocessableError(f"Two taxes have the name {name!r}: give each a name of its own.")
    for item in records.find(InvoiceItem, customer=customer_id, invoice=None):
        gone = sorted(set((item.taxes or {}).get("names", ())) - set(names))
        if gone:
            raise ConflictError(f"{item.name!r}, which is not invoiced yet, bears the tax {gone[0]!r}: keep the tax.")
