"""Where the console may connect to, and what an administrator may give as such a place."""

from __future__ import annotations

import ssl
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ValidationError

#: Where clouds hand a machine its own keys, as far as the kinds below don't cover it.
_METADATA = {ip_address("100.100.100.200"), ip_address("fd00:ec2::254")}


def why_not(address: str) -> str:
    """Why no connection to this IP address is made, as the end of a sentence; empty where it may be."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    if parsed.is_link_local or parsed in _METADATA:
        return f"{parsed} is a link-local or metadata address, which the console doesn't call"
    if parsed.is_multicast or parsed.is_unspecified:
        return f"{parsed} is no address of one machine"
    return ""


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
