"""Deny by default: a view says which scope each of its methods needs, and a key without it is told which one."""

import logging
from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apikeys import use
from apikeys.authentication import endpoint_of
from apikeys.checking import LiveKey
from apikeys.refusals import record_not_allowed
from apikeys.scopes import scope_of

logger = logging.getLogger(__name__)


class MissingScope(PermissionDenied):
    """403: the key lacks `scope`, or its owner lost the right (`lost`)."""

    default_code = "missing_scope"

    def __init__(self, scope: str, *, lost: bool) -> None:
        known = scope_of(scope)
        label = known.label if known else scope
        if lost:
            why = f"The owner of this API key no longer has the right that the scope {scope} ({label}) needs."
        else:
            why = f"This API key lacks the scope {scope} ({label})."
        super().__init__(why)
        self.scope, self.lost = scope, lost


class HasScope(BasePermission):
    """The view declares `scopes = {"GET": "agent:get", …}`; HEAD needs what GET does, OPTIONS any of them."""

    def has_permission(self, request: Request, view: Any) -> bool:
        key = request.auth
        if not isinstance(key, LiveKey):
            raise NotAuthenticated("Send an API key: Authorization: Bearer ac_…")
        method = str(request.method)
        declared: Mapping[str, str] = getattr(view, "scopes", {})
        if method == "OPTIONS":
            return any(scope in key.rights for scope in declared.values())
        if getattr(view, method.lower(), None) is None:
            return True  # Nothing is there to be protected: the framework answers 405.
        scope = declared.get("GET" if method == "HEAD" else method)
        if scope is None:
            logger.error("%s declares no scope for %s, so it is refused", type(view).__name__, method)
            return False
        if scope in key.rights:
            return True
        missing = MissingScope(scope, lost=scope in key.scopes)
        endpoint = endpoint_of(request._request)
        use.count_refused(key.pk, endpoint)
        why = "the owner lost the right" if missing.lost else "the key lacks the scope"
        record_not_allowed(key, scope=scope, why=why, endpoint=endpoint, at=timezone.now())
        raise missing
