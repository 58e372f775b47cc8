"""The description of the API (OpenAPI 3.1) and the page that shows it.

The page is rendered here: Swagger UI and Redoc bring styles and pictures of their own, which the CSP refuses.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

from apikeys.errors import Problem
from apikeys.pages import require_sign_in
from apikeys.scopes import scope_of

PROBLEM = {"$ref": "#/components/schemas/Problem"}
_METHODS = ("get", "post", "patch")
_OF_V2_POST = (409, 502, 503, 504)


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "apikeys.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API key of the console: `Bearer ac_…`."}


class DescribedView(AutoSchema):
    """Says which scope a method needs, and what it answers when it refuses."""

    def get_description(self) -> str:  # type: ignore[override]
        scope = scope_of(self.view.scopes[self.method])  # type: ignore[attr-defined]
        needed = f"Needs the scope *{scope.label}* (`{scope.name}`)." if scope else ""
        return f"{super().get_description()}\n\n{needed}".strip()

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for status in self._refusals():
            says = "; ".join(problem.message.rstrip(".") for problem in self._problems(status))
            content = {"application/json": {"schema": PROBLEM}}
            bodies[str(status)] = {"description": says, "content": content}
        for made in ("201", "202"):
            if made in bodies:
                bodies[made]["headers"] = {"Location": {"schema": {"type": "string", "format": "uri"}}}
        return bodies

    def _problems(self, status: int) -> Iterator[Problem]:
        for problem in Problem:
            about_outcomes = problem.code.startswith("C4091")
            if problem.status == status and (status != 409 or about_outcomes == self._is_v2()):
                yield problem

    def _is_v2(self) -> bool:
        return str(self.path).startswith("/api/v2/")

    def get_override_parameters(self) -> list[Any]:
        if self.method != "POST" or self._is_v2():
            return []
        says = "1 to 255 characters; the same again within 24 hours gets the first one's answer."
        schema = {"type": "string", "pattern": "^[!-~]{1,255}$"}
        return [OpenApiParameter("Idempotency-Key", schema, "header", description=says)]

    def _refusals(self) -> Iterator[int]:
        yield from (401, 403, 429)
        is_v2, posts = self._is_v2(), self.method == "POST"
        if posts or self._get_parameters():
            yield 400
        if "{" in self.path and not is_v2:
            yield 404
        if posts:
            yield from (413, 415)
            yield from _OF_V2_POST if is_v2 else (409, 422, 503)


def with_problem(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """A postprocessing hook: the one shape of every refusal."""
    codes = [problem.code for problem in Problem]
    properties = {"code": {"type": "string", "enum": codes}, "message": {"type": "string"}}
    result["components"]["schemas"]["Problem"] = {
        "type": "object",
        "properties": properties,
        "required": ["code", "message"],
        "additionalProperties": False,
    }
    return result


@cache
def description() -> dict[str, Any]:
    described: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return described


@require_safe
def schema(request: HttpRequest) -> JsonResponse:
    """No secret is in it, so that it needs no key."""
    return JsonResponse(description())


# --- The page ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Property:
    name: str
    type: str
    where: str
    required: bool
    says: str


@dataclass(frozen=True)
class Operation:
    id: str
    method: str
    path: str
    summary: str
    takes: list[Property]
    gives: list[tuple[str, str, list[Property]]]


@require_sign_in
@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    shown = {"groups": _groups(), "problems": list(Problem), "info": description()["info"]}
    return render(request, "console/api_docs.html", shown)


@cache
def _groups() -> dict[str, list[Operation]]:
    groups: dict[str, list[Operation]] = {}
    for path, methods in description()["paths"].items():
        for method in _METHODS:
            if method in methods:
                found = methods[method]
                groups.setdefault(found["tags"][0], []).append(_operation(path, method, found))
    return groups


def _operation(path: str, method: str, found: dict[str, Any]) -> Operation:
    takes = [_parameter(each) for each in found.get("parameters", [])]
    body = found.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    takes += _properties(body, "body") if body else []
    gives = [_answer(status, answer) for status, answer in sorted(found["responses"].items())]
    return Operation(found["operationId"], method.upper(), path, found["description"], takes, gives)


def _parameter(each: dict[str, Any]) -> Property:
    schema = each["schema"]
    return Property(each["name"], _type(schema), each["in"], each.get("required", False), each.get("description", ""))


def _answer(status: str, answer: dict[str, Any]) -> tuple[str, str, list[Property]]:
    schema = answer.get("content", {}).get("application/json", {}).get("schema")
    shown = _properties(schema, "answer") if schema and schema != PROBLEM else []
    return status, answer.get("description", ""), shown


def _properties(schema: dict[str, Any], where: str) -> list[Property]:
    schema = _resolved(schema)
    if schema.get("type") == "array":
        schema = _resolved(schema["items"])
    required = schema.get("required", [])
    return [
        Property(name, _type(each), where, name in required, _resolved(each).get("description", ""))
        for name, each in schema.get("properties", {}).items()
    ]


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = description()["components"]["schemas"][name] if name else schema
    return found


def _type(schema: dict[str, Any]) -> str:
    """In words: `string`, `integer 1 to 200`, `one of a, b`, `list of …`."""
    name = schema.get("$ref", "").rpartition("/")[2]
    resolved = _resolved(schema)
    if "enum" in resolved:
        return "one of " + ", ".join(str(each) or "“”" for each in resolved["enum"])
    if name:
        return str(name)
    for together in ("oneOf", "anyOf", "allOf"):
        if together in schema:
            return " or ".join(_type(each) for each in schema[together])
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_type(schema['items'])}"
    words = " or ".join(kind) if isinstance(kind, list) else str(kind)
    if "format" in schema:
        words += f" ({schema['format']})"
    if "minimum" in schema and "maximum" in schema:
        words += f", {schema['minimum']} to {schema['maximum']}"
    default = schema.get("default")
    return words if default in (None, "", []) else f"{words}, {default} by default"
