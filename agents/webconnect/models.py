"""What only a WebConnect source has."""

from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import models

from agents.models import Source
from audit.addresses import check_ca_bundle, check_proxy, is_loopback, parse_url

OFFERED_BASE_URL = "https://www.webconnect.hulft.com/api/v2"


def place(base_url: str) -> str:
    """The same for every way to write the same base URL."""
    parts = urlsplit(base_url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{(parts.hostname or '').rstrip('.')}:{port}{parts.path.rstrip('/')}"


def check_base_url(value: str) -> None:
    """`https` to anywhere, `http` only to this machine: the API key travels in a header."""
    parts = parse_url(value, "https", "http", example=OFFERED_BASE_URL)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValidationError(
            "Plain http would show the API key to the network: use https (http only to this machine)."
        )


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
