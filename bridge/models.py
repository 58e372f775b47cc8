"""What only a bridge has: its settings, and the process that runs it."""

from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from agents.models import Source

FIRST_PORT, LAST_PORT = 4475, 4575
_PORT = [MinValueValidator(1024), MaxValueValidator(65535)]


def check_origins(value: str) -> None:
    for origin in value.split():
        try:
            parts = urlsplit(origin)
            bare = f"{parts.scheme}://{parts.netloc}" == origin and parts.scheme in ("http", "https") and parts.netloc
        except ValueError:
            bare = ""
        if not bare:
            raise ValidationError("“%(origin)s” is not an origin such as https://host.", params={"origin": origin})


def check_folder(value: str) -> None:
    if not Path(value).exists():
        raise ValidationError("There is no such folder or file on the bridge's machine.")


class BridgeSource(models.Model):
    """How a bridge is set; its process takes this when it starts."""

    class Authentication(models.TextChoices):
        OFF = "off", "None"
        API_KEY = "api_key", "API key"
        JWT = "jwt", "JWT"
        EITHER = "either", "API key or JWT"

    source = models.OneToOneField(Source, models.PROTECT, primary_key=True, related_name="bridge")
    first_port = models.PositiveIntegerField(
        default=FIRST_PORT,
        validators=_PORT,
        help_text="Of 127.0.0.1. Desktop agents look for a bridge from 4475 to 4575; the first free one is taken.",
    )
    last_port = models.PositiveIntegerField(default=LAST_PORT, validators=_PORT)
    authentication = models.CharField(
        max_length=10,
        choices=Authentication,
        default=Authentication.OFF,
        help_text="What a desktop agent shows in its handshake: an API key with the scope Bridge: Connect, or a JWT. "
        "None: every program on this machine may connect.",
    )
    public_keys = models.CharField(
        max_length=500,
        blank=True,
        validators=[check_folder],
        help_text="For JWTs: a folder of <sub>.pem and <sub>.jwk files, or one JWK set, on the bridge's machine.",
    )
    allowed_origins = models.TextField(
        blank=True,
        max_length=2000,
        validators=[check_origins],
        help_text="Origins whose pages may connect from a browser, such as https://host, one a line; empty: none.",
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(authentication__in=["off", "api_key", "jwt", "either"]),
                name="bridge_authentication_is_known",
            ),
            models.CheckConstraint(
                condition=Q(last_port__gte=F("first_port")),
                name="bridge_ports_are_a_range",
                violation_error_message="The last port is below the first.",
            ),
        ]

    def __str__(self) -> str:
        return f"bridge on ports {self.first_port} to {self.last_port}"

    def clean(self) -> None:
        if self.takes_jwts and not self.public_keys:
            raise ValidationError({"public_keys": "JWTs can't be checked without the public keys."})

    @property
    def takes_api_keys(self) -> bool:
        return self.authentication in (self.Authentication.API_KEY, self.Authentication.EITHER)

    @property
    def takes_jwts(self) -> bool:
        return self.authentication in (self.Authentication.JWT, self.Authentication.EITHER)


class BridgeProcess(models.Model):
    """The process that runs a bridge, and its sign of life; `bridge/process.py` alone writes it."""

    source = models.OneToOneField(Source, models.PROTECT, primary_key=True, related_name="bridge_process")
    #: Whose it is at the moment; null once it has stopped by itself.
    token = models.UUIDField(null=True)
    name = models.CharField(max_length=200)
    port = models.PositiveIntegerField(null=True)
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name

    @property
    def address(self) -> str:
        return f"ws://127.0.0.1:{self.port}" if self.port else ""

    def is_alive(self, since: datetime) -> bool:
        return self.token is not None and self.beat_at >= since
