"""How every write of the catalogue goes: audited, once by ``Idempotency-Key``, and only if it matches ``If-Match``."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.params import HeaderParameter
from msgspec import Struct

from tollkeeper.api.guard import bearer
from tollkeeper.api.idempotency import Answer, Memory
from tollkeeper.errors import PreconditionFailedError
from tollkeeper.service.audit import editing
from tollkeeper.service.bootstrap import Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from tollkeeper.service.audit import Edit
    from tollkeeper.store.protocols import Records

__all__ = ["ADMIN", "Write", "shown", "write_from"]

ADMIN = {"scope": "admin"}
JSON = "application/json"
CREATED, OK, NO_CONTENT = 201, 200, 204


class Write(Struct, frozen=True, kw_only=True):
    """One request that writes."""

    service: Service
    actor: str
    secret: str
    method: str
    prefix: str
    path: str
    idempotency_key: str | None
    if_match: str | None

    def create(self, verb: Callable[[Edit], Struct], data: Struct | None, collection: str) -> Response[Any]:
        """Make something of a collection below ``/v1``, and answer what ``verb`` gives to show."""

        def answer(edit: Edit) -> Answer:
            made: Any = verb(edit)
            return Answer(CREATED, f"{self.prefix}/v1/{collection}/{made.id}", msgspec.json.encode(made))

        return self._once(answer, data)

    def change(
        self,
        verb: Callable[[Edit], object],
        show: Callable[[Records], Struct],
        data: Struct | None = None,
    ) -> Response[Any]:
        """Change something that ``show`` reads; PreconditionFailedError when it is not what ``If-Match`` says."""

        def answer(edit: Edit) -> Answer:
            self._check(edit, show)
            verb(edit)
            return Answer(OK, None, msgspec.json.encode(show(edit.records)))

        return self._once(answer, data)

    def remove(self, verb: Callable[[Edit], object], show: Callable[[Records], Struct]) -> Response[Any]:
        """Take away something that ``show`` reads; raises as ``change``."""

        def answer(edit: Edit) -> Answer:
            self._check(edit, show)
            verb(edit)
            return Answer(NO_CONTENT, None, b"")

        return self._once(answer, None)

    def do(self, verb: Callable[[Edit], Struct], data: Struct) -> Response[Any]:
        """Do something, and answer what ``verb`` gives to show."""
        return self._once(lambda edit: Answer(OK, None, msgspec.json.encode(verb(edit))), data)

    def _check(self, edit: Edit, show: Callable[[Records], Struct]) -> None:
        if self.if_match in {None, "*"}:
            return
        tag = _tag(msgspec.json.encode(show(edit.records)))
        if tag not in {one.strip() for one in str(self.if_match).split(",")}:
            raise PreconditionFailedError(
                f"It was changed meanwhile: read it again, and send its ETag, which is {tag} now, as If-Match."
            )

    def _once(self, do: Callable[[Edit], Answer], data: Struct | None) -> Response[Any]:
        with editing(self.service.catalog, self.actor) as edit:
            if self.idempotency_key is None:
                return _response(do(edit))
            request = msgspec.json.encode([self.method, self.path, data])
            memory = Memory(secret=self.secret, key=self.idempotency_key, request=request)
            answer = memory.recall(edit.records, edit.now)
            if answer is None:
                answer = do(edit)
                memory.keep(edit.records, answer, edit.now)
        return _response(answer)


def write_from(
    *,
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    idempotency_key: Annotated[
        str | None,
        HeaderParameter(name="Idempotency-Key", description="Name of this request: sent again, it is done once."),
    ] = None,
    if_match: Annotated[
        str | None, HeaderParameter(name="If-Match", description="ETag of what is to be changed, so far.")
    ] = None,
) -> Write:
    """What a write needs to know of its request."""
    return Write(
        service=service,
        actor=request.state["token"].name,
        secret=bearer(request.headers.get("authorization", "")) or "",
        method=request.method,
        prefix=request.scope.get("root_path", ""),
        path=request.url.path,
        idempotency_key=idempotency_key,
        if_match=if_match,
    )


def shown(view: Struct) -> Response[Any]:
    """The answer that shows something, with its ETag."""
    return _response(Answer(OK, None, msgspec.json.encode(view)))


def _response(answer: Answer) -> Response[Any]:
    if answer.status == NO_CONTENT:
        return Response(None, status_code=NO_CONTENT, headers={"Cache-Control": "no-store"})
    headers = {"ETag": _tag(answer.body), "Cache-Control": "no-store"}
    if answer.location is not None:
        headers["Location"] = answer.location
    return Response(answer.body, status_code=answer.status, media_type=JSON, headers=headers)


def _tag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'
