from __future__ import annotations

import pytest

from tollkeeper.capture.django_routes import route_template


@pytest.mark.parametrize(
    ("route", "template"),
    [
        ("", "/"),
        ("users/<int:id>/", "/users/{id}/"),
        ("users/<id>", "/users/{id}"),
        ("files/<path:rest>", "/files/{rest}"),
        ("robots.txt", "/robots.txt"),
        ("odata/users(<int:id>)/", "/odata/users({id})/"),
        ("$metadata", "/$metadata"),
        ("ünï/<str:ä>", "/ünï/{ä}"),
        (r"^users/(?P<id>[0-9]+)/$", "/users/{id}/"),
        (r"api/<int:v>/users/([0-9]+)/$", "/api/{v}/users/{arg1}/"),
        (r"^users/(?P<id>\d+)/<slug:part>", "/users/{id}/{part}"),
        (r"^users\.(?P<format>[a-z0-9]+)/?$", "/users.{format}/"),
        (r"^users(?P<format>\.[a-z0-9]+/?)?$", "/users{format}"),
        (r"^a/(?P<x>(b|c)\)(?:d))/(?:page-(?P<n>\d+)/)?$", "/a/{x}/page-{n}/"),
        (r"\Af/[]x)]/(?P<a>[()])/b\Z", "/f/{arg1}/{a}/b"),
        (r"^(?i:Foo)/(?!bar(?=x))\w+/x{2,3}[^/]+$", "/Foo/{arg1}/x{arg2}"),
        (r"^(?i)archive/(?P<year>[0-9]{4})-([0-9]{2})/(?P=year)/(?#why)x$", "/archive/{year}-{arg1}//x"),
        (r"^a\-b/\$/x*/y+?$", "/a-b/$/x/y"),
    ],
)
def test_routes_become_templates(route: str, template: str) -> None:
    assert route_template(route) == template
