"""Where the console may connect to, and what an administrator may give as such a place."""

from __future__ import annotations

import ssl
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ValidationError

#: Where clouds hand a machine its own keys, as far as the kinds below don't cover it.
_METADATA = set(map(ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")))
#: Where a gateway makes IPv4 of IPv6 (RFC 6052, RFC 8215): the last 32 bits are the address that is meant.
_TRANSLATED = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))


def why_not(address: str) -> str:
    """Why no connection to this IP address is made, as the end of a sentence; empty where it may be."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address):
        parsed = _meant(parsed)
    if parsed.is_link_local or parsed in _METADATA:
        return f"{parsed} is a link-local or metadata address, which the console doesn't call"
    if parsed.is_multicast or parsed.is_unspecified:
        return f"{parsed} is no address of one machine"
    return ""


def _meant(address: IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that it stands for, if it does."""
    if any(address in network for network in _TRANSLATED):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def parse_url(value: str, *schemes: str, example: str) -> SplitResult:
    """A URL of one of `schemes` with a host, without spaces, user name, query or fragment. Raises ValidationError."""
    if any(char.isspace() or not char.isprintable() for char in value):
        raise ValidationError("This is not a URL: there are spaces or marks in it that don't print.")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValidationError("This is not a URL.") from None
    if parts.scheme not in schemes or not host:
        raise ValidationError(
            "Give a URL that begins with %(begin)s://, such as %(example)s.",
            params={"begin": schemes[0], "example": example},
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise ValidationError("Give the URL without a user name, a query or a fragment.")
    if reason := why_not(host):
        raise ValidationError(f"This address can't be used: {reason}.")
    return parts


def check_proxy(value: str) -> None:
    try:
        check = urlsplit(value)
        host, _ = check.hostname, check.port
    except ValueError:
        raise ValidationError("Give the proxy as http://host:port.") from None
    if check.scheme not in ("http", "https") or not host:
        raise ValidationError("Give the proxy as http://host:port.")
    if check.username is not None:
        raise ValidationError("A user name or password in a proxy's URL is not kept: use a proxy that needs none.")


def check_ca_bundle(value: str) -> None:
    if not Path(value).is_file():
        raise ValidationError("There is no such file on the console's machine.")
    try:
        ssl.create_default_context(cafile=value)
    except (ssl.SSLError, OSError):
        raise ValidationError("This file holds no CA certificates in PEM form.") from None
