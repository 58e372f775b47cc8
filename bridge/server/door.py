"""Who may open a socket: decided from the upgrade request alone, before anything is said.

Every page in every browser on this machine can reach 127.0.0.1, and no same-origin policy holds for WebSockets; what a
browser cannot leave away is `Origin`. A page whose own name was made to point to 127.0.0.1 (DNS rebinding) sends that
name as `Host`.
"""

from dataclasses import dataclass
from http import HTTPStatus

from picows import WSUpgradeRequest

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
WEBSOCKET_VERSION = "13"


@dataclass(frozen=True)
class Refusal:
    status: HTTPStatus
    why: str


def refusal(request: WSUpgradeRequest, allowed_origins: frozenset[str]) -> Refusal | None:
    """Why this request gets no socket, or None."""
    headers = request.headers
    hosts = headers.getall("Host", [])
    if len(hosts) != 1 or _name(hosts[0]) not in LOOPBACK_NAMES:
        return Refusal(HTTPStatus.FORBIDDEN, "Host must be 127.0.0.1 or localhost")
    # The drafts before RFC 6455 have their origin in another header.
    if headers.get("Sec-WebSocket-Version") != WEBSOCKET_VERSION:
        return Refusal(HTTPStatus.UPGRADE_REQUIRED, f"WebSocket version {WEBSOCKET_VERSION} only")
    if any(origin not in allowed_origins for origin in headers.getall("Origin", [])):
        return Refusal(HTTPStatus.FORBIDDEN, "this Origin may not connect")
    return None


def _name(host: str) -> str:
    """Without the port, which somebody's port forwarding may change."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()
