"""Events in the Open Cybersecurity Schema Framework, one pinned version of it: attributes differ between versions."""

from __future__ import annotations

from typing import Any

from audit.canonical import time_text
from audit.models import Event
from audit.streams.meanings import Class, Outcome, meaning_of

VERSION = "1.6.0"
PRODUCT = {"name": "Agent Console", "vendor_name": "Agent Console"}
_USER_TYPES = {"person": 1, "command line": 2, "console": 3, "API key": 4}


def ocsf(event: Event) -> dict[str, Any]:
    """`event` as OCSF. What has no place there is in `unmapped`, so nothing of it is lost."""
    meaning = meaning_of(event.action)
    kind, (category, category_words) = meaning.of, meaning.of.category
    mapped: dict[str, Any] = {
        "category_uid": category,
        "category_name": category_words,
        "class_uid": kind.uid,
        "class_name": kind.words,
        "activity_id": meaning.activity_id,
        "activity_name": meaning.activity,
        "type_uid": kind.uid * 100 + meaning.activity_id,
        "type_name": f"{kind.words}: {meaning.activity}",
        "time": int(event.at.timestamp() * 1000),
        "severity_id": int(meaning.severity),
        "severity": meaning.severity.name.capitalize(),
        "status_id": int(meaning.outcome),
        "status": _STATUS[meaning.outcome],
        "message": f"{event.action_words}: {event.target_label}" if event.target_label else event.action_words,
        "metadata": _metadata(event),
        "actor": {"user": _user(event.actor_kind, event.actor_id, event.actor_label)},
        "src_endpoint": {"ip": event.address} if event.address else {"name": "agent-console"},
        **_OF_CLASS[kind](event, meaning),
        "unmapped": _unmapped(event),
    }
    if event.user_agent or event.request_id:
        mapped["http_request"] = _present({"user_agent": event.user_agent, "uid": event.request_id})
    return mapped


_STATUS = {
    Outcome.UNKNOWN: "Unknown",
    Outcome.SUCCESS: "Success",
    Outcome.FAILURE: "Failure",
    Outcome.OTHER: "In progress",
}


def _metadata(event: Event) -> dict[str, Any]:
    return _present(
        {
            "version": VERSION,
            "product": PRODUCT,
            "log_name": "audit",
            "uid": event.hash,
            "sequence": event.sequence,
            "event_code": event.action,
            "original_time": time_text(event.at),
            "correlation_uid": str(event.operation or event.request_id),
        }
    )


def _user(kind: str, id: str, label: str) -> dict[str, Any]:
    known = _present({"name": label, "uid": id, "type": kind})
    return {"name": "unknown", **known, "type_id": _USER_TYPES.get(kind, 99 if kind else 0)}


def _whom(event: Event) -> dict[str, Any]:
    """The person or key that it is about, or else who did it."""
    if event.target_kind in ("person", "API key"):
        return _user(event.target_kind, event.target_id, event.target_label)
    return _user(event.actor_kind, event.actor_id, event.actor_label)


def _target(event: Event) -> dict[str, Any]:
    named = _present({"name": event.target_label, "uid": event.target_id, "type": event.target_kind})
    return named if "name" in named or "uid" in named else {"name": "Agent Console", **named}


def _roles(event: Event) -> list[str]:
    after = event.details.get("after")
    return [str(role) for role in after] if isinstance(after, list) else []


_SERVICE = {"service": {"name": "Agent Console"}}
_OF_CLASS: dict[Class, Any] = {
    Class.ACCOUNT_CHANGE: lambda event, meaning: {"user": _whom(event)},
    Class.AUTHENTICATION: lambda event, meaning: {"user": _whom(event), **_SERVICE},
    Class.ENTITY_MANAGEMENT: lambda event, meaning: _present(
        {"entity": _target(event), "comment": event.details.get("reason")}
    ),
    Class.USER_ACCESS: lambda event, meaning: {"user": _whom(event), "privileges": _roles(event)},
    Class.APPLICATION_LIFECYCLE: lambda event, meaning: {
        "app": {**PRODUCT, "feature": {"name": event.target_label or "console"}}
    },
    Class.API_ACTIVITY: lambda event, meaning: {
        "api": {"operation": event.action, **_SERVICE},
        "resources": [_target(event)],
    },
}


def _unmapped(event: Event) -> dict[str, Any]:
    return _present(
        {
            "data": event.details,
            "authentication": event.authentication,
            "operation": str(event.operation) if event.operation else None,
            "target_kind": event.target_kind,
            "target_id": event.target_id,
            "target_label": event.target_label,
            "previous_hash": event.previous_hash,
        }
    )


def _present(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value not in ("", None, {}, [])}
