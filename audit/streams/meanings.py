"""What each action means in the words of other systems: class and activity of OCSF, outcome and severity.

One table, so that a new action without a meaning fails a test and not a receiver.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from audit.actions import Action


class Class(Enum):
    """The classes of OCSF that events are mapped to, each with its number, its words and its activities."""

    ACCOUNT_CHANGE = (
        3001,
        "Account Change",
        {1: "Create", 2: "Enable", 3: "Password Change", 4: "Password Reset", 5: "Disable", 99: "Other"},
    )
    AUTHENTICATION = (3002, "Authentication", {1: "Logon", 2: "Logoff"})
    ENTITY_MANAGEMENT = (
        3004,
        "Entity Management",
        {
            1: "Create",
            2: "Read",
            3: "Update",
            4: "Delete",
            10: "Activate",
            11: "Deactivate",
            12: "Suspend",
            13: "Resume",
            99: "Other",
        },
    )
    USER_ACCESS = (3005, "User Access Management", {1: "Assign Privileges"})
    APPLICATION_LIFECYCLE = (6002, "Application Lifecycle", {3: "Start", 4: "Stop"})
    API_ACTIVITY = (6003, "API Activity", {1: "Create", 2: "Read", 3: "Update", 4: "Delete", 99: "Other"})

    def __init__(self, uid: int, words: str, activities: dict[int, str]) -> None:
        self.uid, self.words, self.activities = uid, words, activities

    @property
    def category(self) -> tuple[int, str]:
        return (3, "Identity & Access Management") if self.uid < 4000 else (6, "Application Activity")


class Outcome(IntEnum):
    """`status_id` of OCSF. OTHER: it goes on, and another event tells how it ended."""

    UNKNOWN = 0
    SUCCESS = 1
    FAILURE = 2
    OTHER = 99


class Severity(IntEnum):
    """`severity_id` of OCSF."""

    INFORMATIONAL = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4


@dataclass(frozen=True)
class Meaning:
    of: Class
    activity: str
    outcome: Outcome = Outcome.SUCCESS
    severity: Severity = Severity.INFORMATIONAL

    @property
    def activity_id(self) -> int:
        return next(number for number, words in self.of.activities.items() if words == self.activity)


_ACCOUNT, _AUTHENTICATION, _ENTITY = Class.ACCOUNT_CHANGE, Class.AUTHENTICATION, Class.ENTITY_MANAGEMENT
_ACCESS, _LIFECYCLE, _API = Class.USER_ACCESS, Class.APPLICATION_LIFECYCLE, Class.API_ACTIVITY
_UNKNOWN, _SUCCESS, _FAILURE, _OTHER = Outcome
_INFO, _LOW, _MEDIUM, _HIGH = Severity

MEANINGS: dict[Action, Meaning] = {
    Action.OPERATION_REQUESTED: Meaning(_API, "Delete", _OTHER, _MEDIUM),
    Action.DISCONNECTION_QUEUED: Meaning(_API, "Delete", _OTHER),
    Action.DISCONNECTION_ALREADY_OPEN: Meaning(_API, "Delete", _FAILURE),
    Action.DISCONNECTION_NOT_ALLOWED: Meaning(_API, "Delete", _FAILURE, _MEDIUM),
    Action.DISCONNECTION_SENT: Meaning(_API, "Delete", _OTHER),
    Action.DISCONNECTION_REQUEUED: Meaning(_API, "Delete", _OTHER, _LOW),
    Action.DISCONNECTION_ANSWER_LOST: Meaning(_API, "Delete", _OTHER, _LOW),
    Action.DISCONNECTION_ANSWERED_NO: Meaning(_API, "Delete", _FAILURE, _LOW),
    Action.DISCONNECTION_LATE_ANSWER: Meaning(_API, "Delete", _OTHER, _LOW),
    Action.DISCONNECTION_ACCEPTED: Meaning(_API, "Delete", _OTHER),
    Action.DISCONNECTION_CONFIRMED: Meaning(_API, "Delete", _SUCCESS, _LOW),
    Action.DISCONNECTION_ALREADY_GONE: Meaning(_API, "Delete"),
    Action.DISCONNECTION_STILL_CONNECTED: Meaning(_API, "Delete", _FAILURE, _MEDIUM),
    Action.DISCONNECTION_REFUSED: Meaning(_API, "Delete", _FAILURE, _MEDIUM),
    Action.DISCONNECTION_FAILED: Meaning(_API, "Delete", _FAILURE, _MEDIUM),
    Action.DISCONNECTION_UNKNOWN: Meaning(_API, "Delete", _UNKNOWN, _MEDIUM),
    Action.DISCONNECTION_CANCELLED: Meaning(_API, "Delete", _OTHER),
    Action.DISCONNECTION_CAME_BACK: Meaning(_API, "Read", _SUCCESS, _LOW),
    Action.DISCONNECTION_SEEN_GONE: Meaning(_API, "Read"),
    Action.SESSIONS_EXPORTED: Meaning(_API, "Read", _SUCCESS, _LOW),
    Action.EXPORT_REQUESTED: Meaning(_API, "Create", _SUCCESS, _LOW),
    Action.EXPORT_READY: Meaning(_API, "Create"),
    Action.EXPORT_DOWNLOADED: Meaning(_API, "Read", _SUCCESS, _MEDIUM),
    Action.EXPORT_FAILED: Meaning(_API, "Create", _FAILURE, _LOW),
    Action.EXPORT_CANCELLED: Meaning(_API, "Delete"),
    Action.EXPORT_EXPIRED: Meaning(_API, "Delete"),
    Action.SINK_ADDED: Meaning(_ENTITY, "Create", _SUCCESS, _MEDIUM),
    Action.SINK_CHANGED: Meaning(_ENTITY, "Update", _SUCCESS, _MEDIUM),
    Action.SINK_PAUSED: Meaning(_ENTITY, "Suspend", _SUCCESS, _MEDIUM),
    Action.SINK_RESUMED: Meaning(_ENTITY, "Resume", _SUCCESS, _LOW),
    Action.SINK_REMOVED: Meaning(_ENTITY, "Delete", _SUCCESS, _MEDIUM),
    Action.SINK_TESTED: Meaning(_ENTITY, "Read"),
    Action.SINK_SECRET_REPLACED: Meaning(_ENTITY, "Update", _SUCCESS, _MEDIUM),
    Action.SINK_FAILING: Meaning(_ENTITY, "Deactivate", _FAILURE, _MEDIUM),
    Action.SINK_RECOVERED: Meaning(_ENTITY, "Activate"),
    Action.SINK_SKIPPED: Meaning(_ENTITY, "Deactivate", _FAILURE, _HIGH),
    Action.REVIEW_MARKED: Meaning(_ENTITY, "Update"),
    Action.SEARCH_SAVED: Meaning(_ENTITY, "Create"),
    Action.SEARCH_REMOVED: Meaning(_ENTITY, "Delete"),
    Action.SOURCE_ADDED: Meaning(_ENTITY, "Create", _SUCCESS, _LOW),
    Action.SOURCE_CHANGED: Meaning(_ENTITY, "Update", _SUCCESS, _LOW),
    Action.SOURCE_PAUSED: Meaning(_ENTITY, "Suspend", _SUCCESS, _LOW),
    Action.SOURCE_RESUMED: Meaning(_ENTITY, "Resume"),
    Action.SOURCE_TESTED: Meaning(_ENTITY, "Read"),
    Action.SOURCE_UNREACHABLE: Meaning(_ENTITY, "Deactivate", _FAILURE, _LOW),
    Action.SOURCE_READABLE: Meaning(_ENTITY, "Activate"),
    Action.SOURCE_RATE_LIMITED: Meaning(_ENTITY, "Deactivate", _FAILURE, _LOW),
    Action.CREDENTIAL_REPLACED: Meaning(_ENTITY, "Update", _SUCCESS, _MEDIUM),
    Action.CREDENTIAL_REJECTED: Meaning(_ENTITY, "Deactivate", _FAILURE, _MEDIUM),
    Action.CREDENTIAL_REENCRYPTED: Meaning(_ENTITY, "Update"),
    Action.PERSON_SIGNED_IN: Meaning(_AUTHENTICATION, "Logon"),
    Action.PERSON_SIGN_IN_REFUSED: Meaning(_AUTHENTICATION, "Logon", _FAILURE, _LOW),
    Action.PERSON_SIGNED_OUT: Meaning(_AUTHENTICATION, "Logoff"),
    Action.PERSON_REAUTHENTICATED: Meaning(_AUTHENTICATION, "Logon"),
    Action.PERSON_PASSWORD_CHANGED: Meaning(_ACCOUNT, "Password Change", _SUCCESS, _LOW),
    Action.PERSON_ADDED: Meaning(_ACCOUNT, "Create", _SUCCESS, _MEDIUM),
    Action.PERSON_CHANGED: Meaning(_ACCOUNT, "Other"),
    Action.PERSON_ROLES_CHANGED: Meaning(_ACCESS, "Assign Privileges", _SUCCESS, _MEDIUM),
    Action.PERSON_DEACTIVATED: Meaning(_ACCOUNT, "Disable", _SUCCESS, _LOW),
    Action.PERSON_ACTIVATED: Meaning(_ACCOUNT, "Enable", _SUCCESS, _LOW),
    Action.PERSON_LINK_MADE: Meaning(_ACCOUNT, "Password Reset", _SUCCESS, _LOW),
    Action.PERSON_LINK_USED: Meaning(_ACCOUNT, "Password Change", _SUCCESS, _LOW),
    Action.APIKEY_CREATED: Meaning(_ENTITY, "Create", _SUCCESS, _MEDIUM),
    Action.APIKEY_CHANGED: Meaning(_ENTITY, "Update", _SUCCESS, _LOW),
    Action.APIKEY_PAUSED: Meaning(_ENTITY, "Suspend"),
    Action.APIKEY_RESUMED: Meaning(_ENTITY, "Resume", _SUCCESS, _LOW),
    Action.APIKEY_ROTATED: Meaning(_ENTITY, "Update", _SUCCESS, _LOW),
    Action.APIKEY_OVERLAP_ENDED: Meaning(_ENTITY, "Update"),
    Action.APIKEY_REVOKED: Meaning(_ENTITY, "Delete", _SUCCESS, _LOW),
    Action.APIKEY_EXPIRING: Meaning(_ENTITY, "Other", _OTHER),
    Action.APIKEY_REFUSED: Meaning(_AUTHENTICATION, "Logon", _FAILURE, _LOW),
    Action.APIKEY_NOT_ALLOWED: Meaning(_API, "Other", _FAILURE, _LOW),
    Action.APIKEY_REQUEST_REFUSED: Meaning(_API, "Other", _FAILURE),
    Action.APIKEY_THROTTLED: Meaning(_AUTHENTICATION, "Logon", _FAILURE, _MEDIUM),
    Action.AUDIT_KEY_INTRODUCED: Meaning(_ENTITY, "Create", _SUCCESS, _MEDIUM),
    Action.AUDIT_CHECKPOINT_MADE: Meaning(_ENTITY, "Create"),
    Action.AUDIT_CHECKPOINTS_STUCK: Meaning(_ENTITY, "Deactivate", _FAILURE, _MEDIUM),
    Action.AUDIT_CHECKPOINTS_LEAVE: Meaning(_ENTITY, "Activate"),
    Action.AUDIT_CHECKED: Meaning(_ENTITY, "Read"),
    Action.AUDIT_FOUND_UNSOUND: Meaning(_ENTITY, "Read", _FAILURE, _HIGH),
    Action.AUDIT_KEEPING_CHANGED: Meaning(_ENTITY, "Update", _SUCCESS, _MEDIUM),
    Action.AUDIT_HELD: Meaning(_ENTITY, "Suspend", _SUCCESS, _MEDIUM),
    Action.AUDIT_RELEASED: Meaning(_ENTITY, "Resume", _SUCCESS, _MEDIUM),
    Action.AUDIT_CUT: Meaning(_ENTITY, "Delete", _SUCCESS, _MEDIUM),
    Action.AUDIT_ARCHIVE_FAILED: Meaning(_ENTITY, "Delete", _FAILURE, _MEDIUM),
    Action.BRIDGE_STARTED: Meaning(_LIFECYCLE, "Start"),
    Action.BRIDGE_STOPPED: Meaning(_LIFECYCLE, "Stop"),
    Action.BRIDGE_AGENT_CONNECTED: Meaning(_AUTHENTICATION, "Logon"),
    Action.BRIDGE_AGENT_LOST: Meaning(_AUTHENTICATION, "Logoff"),
    Action.BRIDGE_AGENT_REFUSED: Meaning(_AUTHENTICATION, "Logon", _FAILURE, _LOW),
    Action.BRIDGE_APP_DISCONNECTED: Meaning(_API, "Delete", _SUCCESS, _MEDIUM),
    Action.BRIDGE_SUMMARISED: Meaning(_API, "Other"),
    Action.SYSTEM_STARTED: Meaning(_LIFECYCLE, "Start"),
    Action.SYSTEM_STOPPED: Meaning(_LIFECYCLE, "Stop"),
    Action.SYSTEM_SILENT: Meaning(_LIFECYCLE, "Stop", _UNKNOWN, _LOW),
    Action.SYSTEM_LOST: Meaning(_LIFECYCLE, "Stop", _FAILURE, _MEDIUM),
}
#: Of an event whose action this version doesn't know: one that a newer version has written.
OTHER = Meaning(_API, "Other", _UNKNOWN)


def meaning_of(action: str) -> Meaning:
    return MEANINGS.get(Action(action), OTHER) if action in Action.values else OTHER


def mapping_table() -> str:
    """The table of docs/audit.md; a test compares the two."""
    rows = [
        f"| `{action}` | {meaning.of.uid} {meaning.of.words} | {meaning.activity} ({meaning.activity_id})"
        f" | {meaning.outcome.name.lower()} | {meaning.severity.name.lower()} |"
        for action, meaning in MEANINGS.items()
    ]
    return "\n".join(["| action | OCSF class | activity | status | severity |", "|---|---|---|---|---|", *rows])
