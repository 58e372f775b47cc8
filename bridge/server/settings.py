"""What the bridge may be told, from the environment, by options, or by the console."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PREFIX = "BRIDGE_"
LARGEST = 2**31 - 1


class BadSetting(Exception):
    """Says which setting is wrong, and how."""


@dataclass(frozen=True)
class BridgeSettings:
    """Each field can be set as `BRIDGE_` and its name in capitals; the address is always 127.0.0.1 (R1)."""

    #: The first free one of these is taken (R2, R3); 0 lets the system choose.
    first_port: int = 4475
    last_port: int = 4575
    #: A folder of `<sub>.pem` and `<sub>.jwk`, or one JWK set: then a desktop agent must bring a JWT.
    public_keys: Path | None = None
    #: With this the bridge signs a JWT of its own in each hello; its `sub` is the file's name.
    private_key: Path | None = None
    #: How old a JWT may be, in seconds.
    token_age: float = 60.0
    #: Web pages that may connect, as a browser names them in `Origin`; nobody else who sends one may.
    allowed_origins: frozenset[str] = frozenset()
    max_message_bytes: int = 1024 * 1024
    #: What may wait for an agent that reads slowly, beyond the buffers of the system, before it is disconnected.
    max_queue_bytes: int = 4 * 1024 * 1024
    max_sockets: int = 256
    #: Of those, how many may still be on their way to a handshake.
    max_joining: int = 128
    #: Seconds for the upgrade request, for checking a token, and for the other side of a close.
    upgrade_within: float = 5.0
    verify_within: float = 5.0
    close_within: float = 1.0
    #: An agent that sends nothing for so long is pinged, and gone where no pong comes.
    ping_after: float = 20.0
    pong_within: float = 10.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and not 0 <= value <= LARGEST:
                raise BadSetting(f"{field.name} must not be {value}")
            if isinstance(value, float) and not value:
                raise BadSetting(f"{field.name} must be more than 0")
        if self.first_port > self.last_port or self.last_port > 65535:
            raise BadSetting(f"ports {self.first_port} to {self.last_port} are no range")
        if self.pong_within > self.ping_after:
            raise BadSetting("pong_within must not be more than ping_after")


def from_environment[S](kind: type[S], environment: Mapping[str, str], **chosen: object) -> S:
    """Settings of this kind, `BridgeSettings` or the hub's; `chosen` goes before the environment."""
    values = {
        field.name: _read(field, environment[name])
        for field in dataclasses.fields(kind)  # type: ignore[arg-type]
        if (name := PREFIX + field.name.upper()) in environment
    }
    return kind(**{**values, **chosen})


def _number(value: float) -> float:
    if not 0 <= value <= LARGEST:
        raise ValueError(value)
    return value


def _read(field: dataclasses.Field[object], text: str) -> object:
    name = PREFIX + field.name.upper()
    if field.type is bool:
        if text not in ("0", "1"):
            raise BadSetting(f"{name} must be 1 or 0, not {text!r}")
        return text == "1"
    if field.type is int or field.type is float:
        try:
            return _number(field.type(text))
        except ValueError:
            raise BadSetting(f"{name} must be a number from 0, not {text!r}") from None
    if field.type == frozenset[str]:
        return frozenset(text.replace(",", " ").split())
    if field.type is str:
        return text
    return Path(text) if text else None
