"""The service over HTTP, on both databases, with a client that sends URLs and nothing else."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from support.running import Api, running
from support.stores import DURABLE, store_url
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module", params=DURABLE)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def store(engine: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return store_url(engine, tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def api(store: str) -> Iterator[Api]:
    """A service whose tags are for everybody, as those of the document are."""
    with running(Settings(store=store, tags_public=True)) as api:
        yield api


@pytest.fixture(scope="module")
def guarded(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A service as it is by default."""
    with running(Settings(store=store_url(engine, tmp_path_factory.mktemp("guarded")))) as guarded:
        yield guarded


@pytest.fixture
def client(api: Api) -> httpx.Client:
    return api.anonymous


@pytest.fixture
def tag(client: httpx.Client) -> str:
    """A tag of this test, just made."""
    name = f"page{next(NUMBERS)}"
    assert client.get("/create", params={"tag": name}).status_code == 200
    return name


@pytest.fixture
def guarded_tag(guarded: Api) -> str:
    """The same, behind a token."""
    name = f"page{next(NUMBERS)}"
    assert guarded.admin.get("/create", params={"tag": name}).status_code == 200
    return name
