"""RFC 3986 normalisation of marketContexts (R512)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openadr.uris import normal


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://gateway.example/p", "HTTP://Gateway.Example:80/p"),
        ("https://gateway.example", "https://gateway.example:443/"),
        ("http://g.example/a/b", "http://g.example/a/./x/../b"),
        ("http://g.example/%7Euser", "http://g.example/~user"),
        ("http://g.example/%c3%a9", "http://g.example/%C3%A9"),
        ("http://user@g.example/a/", "http://user@G.example/a/."),
        ("http://[2001:DB8::1]/a", "http://[2001:db8::1]:80/a"),
    ],
)
def test_rule_512_equal_after_normalisation(one: str, other: str) -> None:
    assert normal(one) == normal(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://g.example/a", "http://g.example/A"),
        ("http://g.example/a", "http://g.example/a/"),
        ("http://g.example/a", "https://g.example/a"),
        ("http://g.example:81/a", "http://g.example/a"),
        ("http://g.example/a%2Fb", "http://g.example/a/b"),
        ("oadr:programme", "oadr:Programme"),
        ("programme", "Programme"),
        ("http://g.example:port/a", "http://g.example/a"),
    ],
)
def test_rule_512_nothing_else_is_equal(one: str, other: str) -> None:
    assert normal(one) != normal(other)


@given(st.one_of(st.text(max_size=40), st.from_regex(r"https?://[A-Za-z.:@/%~\[\]0-9?#-]{0,30}", fullmatch=True)))
def test_rule_512_normal_is_normal(uri: str) -> None:
    assert normal(normal(uri)) == normal(uri)
