"""What only a WebConnect source has."""

import ssl
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import models

from agents.models import Source

OFFERED_BASE_URL = "https://www.webconnect.hulft.com/api/v2"


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def place(base_url: str) -> str:
    """The same for every way to write the same base URL."""
    parts = urlsplit(base_url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{(parts.hostname or '').rstrip('.')}:{port}{parts.path.rstrip('/')}"


def check_base_url(value: str) -> None:
    """`https` to anywhere, `http` only to this machine: the API key travels in a header."""
    if any(char.isspace() or not char.isprintable() for char in value):
        raise ValidationError("This is not a URL: there are spaces or marks in it that don't print.")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValidationError("This is not a URL.") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValidationError(
            "Give a URL that begins with https://, such as %(example)s.", params={"example": OFFERED_BASE_URL}
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise ValidationError("Give the URL without a user name, a query or a fragment.")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValidationError(
            "Plain http would show the API key to the network: use https (http only to this machine)."
        )


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


def check_time_zone(value: str) -> None:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValidationError("Give a time zone's name, such as Asia/Tokyo or UTC.") from None


class WebConnectSource(models.Model):
    source = models.OneToOneField(Source, models.PROTECT, primary_key=True, related_name="webconnect")
    base_url = models.CharField(
        "Base URL",
        max_length=300,
        default=OFFERED_BASE_URL,
        validators=[check_base_url],
        help_text="Where the Site API is, with its version.",
    )
    time_zone = models.CharField(
        max_length=64,
        default="UTC",
        validators=[check_time_zone],
        help_text="The times in the list carry no zone: this is the one they are in.",
    )
    proxy = models.CharField(
        max_length=300, blank=True, validators=[check_proxy], help_text="http://host:port, or empty."
    )
    ca_bundle = models.CharField(
        "CA bundle",
        max_length=500,
        blank=True,
        validators=[check_ca_bundle],
        help_text="A PEM file on the console's machine; empty: the well-known authorities.",
    )

    def __str__(self) -> str:
        return self.base_url
