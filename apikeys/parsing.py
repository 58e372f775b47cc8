"""Bodies of requests: one JSON object, bounded; and answers, always JSON whatever the caller says it accepts."""

import json
from collections.abc import Mapping
from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

MOST_BYTES = 1_000_000


class JsonParser(BaseParser):
    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        from apikeys.errors import Problem, Refusal

        # The declared length first: nothing of a body that is too large is read.
        declared = (parser_context or {})["request"].META.get("CONTENT_LENGTH") or "0"
        body = b"" if int(declared) > MOST_BYTES else stream.read(MOST_BYTES + 1)
        if int(declared) > MOST_BYTES or len(body) > MOST_BYTES:
            raise Refusal(Problem.TOO_LARGE)
        try:
            parsed = json.loads(body.decode(), parse_constant=_refuse_constant)
        except ValueError as error:
            raise Refusal(Problem.BODY, f"The body is not JSON: {error}.") from None
        except RecursionError:
            raise Refusal(Problem.BODY, "The body nests too deep.") from None
        if not isinstance(parsed, dict):
            raise Refusal(Problem.BODY)
        return parsed


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


class AlwaysJson(BaseContentNegotiation):
    """The program of the manual says that it accepts HTML, and gets JSON: there is nothing else to get."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser | None:
        declared = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == declared), None)

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type
