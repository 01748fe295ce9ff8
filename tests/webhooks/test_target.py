"""Where nothing may be sent, however it is written."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from server.settings import Settings
from server.webhooks.target import Kind, Reach, Refused, check, kind_of, parsed, reach_of

INSIDE = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "169.254.1.1",
    "100.100.100.200",
    "168.63.129.16",
    "0.0.0.0",  # noqa: S104  it is refused
    "0.1.2.3",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
OUTSIDE = [
    "8.8.8.8",
    "172.15.255.255",
    "172.32.0.1",
    "100.128.0.1",
    "169.253.255.255",
    "223.255.255.255",
    "2606:4700::1111",
    "2a00:1450:4001::1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]
NEVER = [address for address in INSIDE if kind_of(ip_address(address)) is Kind.FORBIDDEN]


@pytest.mark.parametrize("address", INSIDE)
def test_what_is_inside_is_refused(address: str) -> None:
    """Private, loopback, link-local, metadata, multicast, reserved, and each of them inside another form."""
    target = parsed("https://shop.example/hook", Reach.PUBLIC)
    with pytest.raises(Refused, match="not public") as refused:
        check(target, ip_address(address), Reach.PUBLIC)
    assert address not in str(refused.value)


@pytest.mark.parametrize("address", OUTSIDE)
def test_what_is_outside_is_reached_by_tls(address: str) -> None:
    """A public address is reached by https, and never by http, however far messages may go."""
    check(parsed("https://shop.example/hook", Reach.PUBLIC), ip_address(address), Reach.PUBLIC)
    for reach in (Reach.LOOPBACK, Reach.PRIVATE):
        with pytest.raises(Refused, match="https"):
            check(parsed("http://shop.example/hook", reach), ip_address(address), reach)


def test_what_each_setting_means() -> None:
    """Production reaches the public alone, development this machine too; the setting opens private networks."""
    cases = {("production", False): Reach.PUBLIC, ("development", False): Reach.LOOPBACK}
    for env in ("production", "development"):
        for private in (False, True):
            settings = Settings(env=env, webhook_private=private)
            assert reach_of(settings) is cases.get((env, private), Reach.PRIVATE)


@pytest.mark.parametrize("address", NEVER)
def test_some_are_refused_whatever_the_settings_say(address: str) -> None:
    """Nobody's receiver is link-local, a cloud's metadata, multicast or unspecified."""
    target = parsed("http://shop.example/hook", Reach.PRIVATE)
    with pytest.raises(Refused):
        check(target, ip_address(address), Reach.PRIVATE)


def test_how_far_the_settings_let_messages_go() -> None:
    """Development reaches this machine, a private network only where it is set; there http will do."""
    target = parsed("http://shop.example/hook", Reach.LOOPBACK)
    check(target, ip_address("127.0.0.1"), Reach.LOOPBACK)
    check(target, ip_address("::1"), Reach.LOOPBACK)
    with pytest.raises(Refused):
        check(target, ip_address("10.0.0.1"), Reach.LOOPBACK)
    for address in ("10.0.0.1", "127.0.0.1", "fd12::1", "100.64.0.1"):
        check(target, ip_address(address), Reach.PRIVATE)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "1 to 2048"),
        ("https://shop.example/" + "x" * 2048, "1 to 2048"),
        ("http://shop.example/", "begins with https://"),
        ("ftp://shop.example/", "begins with https://"),
        ("file:///etc/passwd", "begins with https://"),
        ("shop.example", "begins with https://"),
        ("https://", "no host"),
        ("https:///path", "no host"),
        ("https://ann@shop.example/", "without user name"),
        ("https://ann:secret@shop.example/", "without user name"),
        ("https://shop.example@127.0.0.1/", "without user name"),
        ("https://shop.example/#part", "without fragment"),
        ("https://shop.example:22/", "port 22 is refused"),
        ("https://shop.example:25/", "port 25 is refused"),
        ("https://shop.example:80/", "port 80 is refused"),
        ("https://shop.example:0/", "port 0 is refused"),
        ("https://shop.example:99999/", "port 99999 is refused"),
        ("https://shop.example:x/", "cannot be read"),
        ("https://shop.example\\@127.0.0.1/", "printable ASCII"),
        ("https://shop.example/ x", "printable ASCII"),
        ("https://shop.example/\r\nHost: x", "printable ASCII"),
        ("https://①②⑦.0.0.1/", "printable ASCII"),
        ("https://127.0.0.1/", "not public"),
        ("https://169.254.169.254/latest/meta-data", "not public"),
        ("https://[::1]/", "not public"),
        ("https://[::ffff:7f00:1]/", "not public"),
        ("https://[::ffff:127.0.0.1]:8443/", "not public"),
        ("https://[64:ff9b::7f00:1]/", "not public"),
        ("https://[fe80::1%25eth0]/", "not public"),
    ],
)
def test_a_url_is_checked_before_its_name_is(url: str, said: str) -> None:
    """Scheme, user name, fragment, port and literal addresses are refused with what is expected instead."""
    with pytest.raises(Refused, match=said.replace("(", r"\(")):
        parsed(url, Reach.PUBLIC)


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example",
        "https://shop.example:8443/a?b=c",
        "https://8.8.8.8/",
        "HTTPS://Shop.Example/",
        "https://xn--ls8h.la/",  # an emoji, which newer rules for names do not know
        "https://xn--a/",
    ],
)
def test_a_good_url_is_taken(url: str) -> None:
    """Names as DNS has them and public addresses, on 443 or a high port, with path and query."""
    target = parsed(url, Reach.PUBLIC)
    assert target.host in {"shop.example", "8.8.8.8", "xn--ls8h.la", "xn--a"}
    assert target.at(ip_address("8.8.8.8")).raw_host == b"8.8.8.8"
