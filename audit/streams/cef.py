"""Events in the Common Event Format (version 0), with its two ways to escape: one for the header, one for the rest."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from audit.models import Event
from audit.streams.meanings import Outcome, Severity, meaning_of

VENDOR = PRODUCT = "Agent Console"
#: Of this mapping: it changes where a key gets another meaning.
VERSION = "1"
_SEVERITY = {Severity.INFORMATIONAL: 1, Severity.LOW: 3, Severity.MEDIUM: 6, Severity.HIGH: 8}
_OUTCOME = {Outcome.SUCCESS: "success", Outcome.FAILURE: "failure", Outcome.OTHER: "in progress"}


def cef(event: Event) -> str:
    """`event` as one line of CEF."""
    meaning = meaning_of(event.action)
    severity = str(_SEVERITY[meaning.severity])
    header = ["CEF:0", VENDOR, PRODUCT, VERSION, event.action, event.action_words, severity]
    facts = {
        "rt": str(int(event.at.timestamp() * 1000)),
        "externalId": str(event.sequence),
        "outcome": _OUTCOME.get(meaning.outcome, "unknown"),
        "suser": event.actor_label,
        "suid": event.actor_id,
        **_address(event.address),
        "requestClientApplication": event.user_agent,
        "reason": str(event.details.get("reason", "")),
        **_custom("cs1", "target", event.target_label),
        **_custom("cs2", "targetKind", event.target_kind),
        **_custom("cs3", "targetId", event.target_id),
        **_custom("cs4", "operation", str(event.operation or "")),
        **_custom("cs5", "hash", event.hash),
        **_custom("cs6", "data", event.data if event.data != "{}" else ""),
        "requestContext": event.request_id,
        **_custom("flexString1", "actorKind", event.actor_kind),
        **_custom("flexString2", "authentication", event.authentication),
    }
    extension = " ".join(f"{key}={_in_extension(value)}" for key, value in facts.items() if value)
    return "|".join([header[0], *map(_in_header, header[1:]), extension])


def _address(address: str) -> dict[str, str]:
    try:
        six = isinstance(ip_address(address), IPv6Address)
    except ValueError:
        return {"shost": address}
    return {"c6a2": address, "c6a2Label": "Source IPv6 Address"} if six else {"src": address}


def _custom(key: str, label: str, value: str) -> dict[str, str]:
    return {f"{key}Label": label, key: value} if value else {}


def _in_header(text: str) -> str:
    return _on_one_line(text, " ").replace("\\", "\\\\").replace("|", "\\|")


def _in_extension(text: str) -> str:
    return _on_one_line(text.replace("\\", "\\\\").replace("=", "\\="), "\\n")


def _on_one_line(text: str, instead: str) -> str:
    """Whatever a receiver may take for the end of a line is none any more."""
    return instead.join(text.splitlines())
