"""What an address of Redis says, and how one that says nothing useful is refused."""

from __future__ import annotations

import pytest

from mcp_echo.cluster.engine import EngineRefused
from mcp_echo.stores.redis.address import RedisAddress, parse_address

PLAIN = RedisAddress(False, "redis.example", 6379, 0, None, None)

READ = {
    "redis://redis.example": PLAIN,
    "redis://redis.example/": PLAIN,
    "rediss://redis.example": PLAIN._replace(tls=True),
    "redis://redis.example:7000/3": PLAIN._replace(port=7000, database=3),
    "redis://[::1]:7000": PLAIN._replace(host="::1", port=7000),
    "redis://127.0.0.1": PLAIN._replace(host="127.0.0.1"),
    "redis://:word@redis.example": PLAIN._replace(password="word"),
    "redis://me:word@redis.example": PLAIN._replace(user="me", password="word"),
    "redis://m%40e:%3A%2F%3F%23%5B%5D%40%25%C3%A9+@redis.example": PLAIN._replace(
        user="m@e", password=":/?#[]@%é+"
    ),
    "redis://redis.example?prefix=a.b:c-d_E&shards=16&timeout=1.5": PLAIN._replace(
        prefix="a.b:c-d_E", shards=16, timeout=1.5
    ),
    "rediss://redis.example?cafile=/etc/a%20b.pem": PLAIN._replace(tls=True, cafile="/etc/a b.pem"),
}


@pytest.mark.parametrize(("address", "expected"), READ.items(), ids=READ)
def test_an_address_is_read(address: str, expected: RedisAddress) -> None:
    """docs/scaling.md; RFC 3986 section 2.1 for what is encoded."""
    assert parse_address(address) == expected


def test_the_defaults_are_what_is_documented() -> None:
    """docs/scaling.md."""
    assert PLAIN[6:] == ("mcp-echo", 1, False, 0.5, None)


REFUSED = [
    "redis://",
    "redis:///0",
    "redis://:s3cret@",
    "redis://s3cret@host",
    "redis://me:s3cret@ho st",
    "redis://:s3cret@host:0",
    "redis://:s3cret@host:65536",
    "redis://:s3cret@host:port",
    "redis://:s3cret@host/x",
    "redis://:s3cret@host/-1",
    "redis://:s3cret@host/0/1",
    "redis://:s3cret@host/\u0663",
    "redis://:s3cret@[::1",
    "redis://:s3cret@[host]",
    "redis://:x#s3cret@host",
    "redis://:x?s3cret@host",
    "redis://:x?s3cret=@host",
    "redis://:x/s3cret@host",
    "redis://:s3cret%ff@host",
    "redis://:s3cret@host?shard=1",
    "redis://:s3cret@host?shards=0",
    "redis://:s3cret@host?shards=1025",
    "redis://:s3cret@host?shards=1.0",
    "redis://:s3cret@host?shards=1&shards=1",
    "redis://:s3cret@host?shards=",
    "redis://:s3cret@host?timeout=0",
    "redis://:s3cret@host?timeout=nan",
    "redis://:s3cret@host?timeout=inf",
    "redis://:s3cret@host?timeout=61",
    "redis://:s3cret@host?prefix=",
    "redis://:s3cret@host?prefix={a}",
    "redis://:s3cret@host?prefix=a%20b",
    "redis://:s3cret@host?cafile=/etc/ca.pem",
    "rediss://:s3cret@host?cafile=",
]


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_means_nothing_is_refused_in_one_line(address: str) -> None:
    """Interface, EngineRefused: one line for the operator; our choice: without the password."""
    with pytest.raises(EngineRefused) as refused:
        parse_address(address)
    message = str(refused.value)
    assert "s3cret" not in message
    assert message.isprintable()
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    ("address", "where"),
    [
        ("redis://me:s3cret@redis.example?timeout=1", "redis://redis.example:6379/0"),
        ("rediss://:s3cret@[::1]:7000/2", "rediss://[::1]:7000/2"),
    ],
)
def test_where_it_is_can_be_shown(address: str, where: str) -> None:
    """Interface, StoreHealth.where: without any password."""
    assert parse_address(address).where == where
