"""Reading what somebody asked for in JSON, with a sentence for what is wrong with it."""

import json
from typing import Any, Self


class BadInput(ValueError):
    """The text is for the person who asked, and quotes no secret."""


class Wanted:
    """A JSON object whose properties are read as what they have to be. Absent ones have a default."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    @classmethod
    def parse(cls, body: bytes) -> Self:
        try:
            values = json.loads(body or b"{}")
        except (ValueError, RecursionError):
            raise BadInput("The body is not JSON.") from None
        if not isinstance(values, dict):
            raise BadInput("The body is not a JSON object.")
        return cls(values)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.values.get(name, default)
        if not isinstance(value, bool):
            raise BadInput(f"{name} is true or false.")
        return value

    def number(self, name: str, smallest: float, largest: float, default: float | None = None) -> float:
        value = self.values.get(name, default)
        # bool is an int to Python; NaN fails the comparison.
        if isinstance(value, bool) or not isinstance(value, int | float) or not smallest <= value <= largest:
            raise BadInput(f"{name} is a number from {smallest:g} to {largest:g}.")
        return value

    def count(self, name: str, largest: int) -> int:
        value = self.number(name, 0, largest, 0)
        if value != int(value):
            raise BadInput(f"{name} is a whole number.")
        return int(value)

    def text(self, name: str, default: str = "", longest: int = 1_000_000) -> str:
        value = self.values.get(name, default)
        if not isinstance(value, str) or len(value) > longest:
            raise BadInput(f"{name} is a text.")
        return value

    def object(self, name: str) -> dict[str, Any]:
        value = self.values.get(name, {})
        if not isinstance(value, dict):
            raise BadInput(f"{name} is an object.")
        return value

    def objects(self, name: str) -> list[dict[str, Any]]:
        value = self.values.get(name, [])
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise BadInput(f"{name} is a list of objects.")
        return value

    def texts(self, name: str) -> list[str]:
        value = self.values.get(name, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise BadInput(f"{name} is a list of texts.")
        return value
