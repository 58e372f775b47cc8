"""The published schemas of FDC3 and our examples of every message, which lie beside a checkout and not in it."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from jsonschema.protocols import Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from bridge.protocol.versions import Version

PLACE = Path(
    os.environ.get("FDC3_REFERENCE", Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "fdc3")
)
HERE = (PLACE / "schemas" / "relaxations.json").is_file()
needed = pytest.mark.skipif(
    not HERE, reason=f"The published FDC3 schemas and examples are not at {PLACE} (FDC3_REFERENCE says where)"
)
FOLDERS = {Version.V2_2: "2.2", Version.NEXT: "next"}


@cache
def validator(version: Version, schema: str) -> Validator:
    """A validator of one published schema, with the published `oneOf` defect mended and formats asserted."""
    documents = _documents(version)
    uri = next(uri for uri in documents if uri.endswith(f"/bridging/{schema}.schema.json"))
    registry = Registry().with_resources(
        (uri, Resource.from_contents(document, default_specification=DRAFT7)) for uri, document in documents.items()
    )
    # References are put in place once, instead of being followed at every message.
    whole = _resolved(documents[uri], registry.resolver(uri))
    return Draft7Validator(whole, format_checker=Draft7Validator.FORMAT_CHECKER)


@cache
def _documents(version: Version) -> dict[str, Any]:
    folder = PLACE / "schemas" / FOLDERS[version]
    documents = {path.relative_to(folder).as_posix(): json.loads(path.read_bytes()) for path in folder.rglob("*.json")}
    for edit in json.loads((PLACE / "schemas" / "relaxations.json").read_bytes())["edits"]:
        part = documents[edit["schema"]]
        for step in edit["pointer"].strip("/").split("/"):
            part = part[step]
        old, new = edit["rename_keyword"]
        part[new] = part.pop(old)
    return {document["$id"]: document for document in documents.values()}


def _resolved(schema: Any, resolver: Any) -> Any:
    if isinstance(schema, list):
        return [_resolved(each, resolver) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(schema.get("$ref"), str):
        found = resolver.lookup(schema["$ref"])
        return _resolved(found.contents, found.resolver)
    left_out = ("$id", "$schema", "$defs", "definitions", "description", "title")
    return {key: _resolved(value, resolver) for key, value in schema.items() if not _is_keyword(key, value, left_out)}


def _is_keyword(key: str, value: Any, left_out: tuple[str, ...]) -> bool:
    """A property may be named `title` or `description` too; then a schema stands there, not a text."""
    return key in left_out and (isinstance(value, str) or key in ("$defs", "definitions"))


def examples() -> list[tuple[Version, dict[str, Any], bytes]]:
    """Version, entry of the index and text of each example; none where the folder is absent."""
    return [
        (version, entry, (PLACE / "examples" / entry["file"]).read_bytes())
        for version, folder in FOLDERS.items()
        if HERE
        for entry in json.loads((PLACE / "examples" / f"index-{folder}.json").read_bytes())
    ]


def sent_by_bridge(entry: dict[str, Any]) -> bool:
    return bool(entry["direction"].startswith("bridge->"))
