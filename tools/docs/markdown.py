"""Words and tables in Markdown."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

Schema = Mapping[str, Any]

TYPES = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "`true` or `false`",
    "null": "null",
}
FORMATS = {"path": "path", "date-time": "date and time, ISO 8601", "password": "text, kept secret"}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; an upright bar in a cell stays in it."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("\n", " ").replace("|", "\\|") for cell in line) + " |"
        for line in lines
    ).replace("|  |", "| |")


def paragraph(docstring: str | None) -> str:
    """The first paragraph of a docstring on one line. Raises ValueError if there is none."""
    text = inspect.cleandoc(docstring or "").partition("\n\n")[0].replace("\n", " ")
    if not text:
        raise ValueError("a docstring is missing that the documentation shows")
    return text


def prose(docstring: str | None) -> str:
    """All paragraphs of a docstring, each on one line."""
    paragraphs = inspect.cleandoc(docstring or "").split("\n\n")
    return "\n\n".join(each.replace("\n", " ") for each in paragraphs)


def kind(schema: Schema) -> str:
    """What a JSON schema allows, in words."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if "prefixItems" in schema:
        return f"list ({', '.join(map(kind, schema['prefixItems']))})"
    if schema.get("type") == "array":
        return f"list of {_plural(kind(schema['items']))}"
    if schema.get("type") == "object":
        values = schema.get("additionalProperties")
        return f"object of {_plural(kind(values))} by name" if isinstance(values, Mapping) else "object"
    if "type" not in schema:
        return "anything"
    return FORMATS.get(str(schema.get("format")), TYPES[schema["type"]]) + _bounds(schema)


def _plural(words: str) -> str:
    for one in ("text", "whole number", "number", "object", "list"):
        if words == one or words.startswith(f"{one} or ") or words.startswith(f"{one} of "):
            return words.replace(one, f"{one}s", 1)
    return words


def _bounds(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if "exclusiveMinimum" in schema:
        return f" above {schema['exclusiveMinimum']:g}"
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}" if high < 1e6 else f" from {low:g} to {high}"
    return f", at least {low:g}" if low is not None else ""


def shown(value: object) -> str:
    """A default as it would be written; nothing if there is none."""
    if value is None or value in ("", [], {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else str(value).removesuffix('.0')}`"


def models(root: type[BaseModel], level: int = 3, elsewhere: Sequence[type[BaseModel]] = ()) -> str:
    """A pydantic model and those in it: a heading, the docstring, a table of fields.

    Models that are in one of `elsewhere` are left out.
    """
    schema = root.model_json_schema(mode="serialization")
    definitions = {root.__name__: schema} | dict(sorted(schema.get("$defs", {}).items()))
    shown_there = {name for model in elsewhere for name in model.model_json_schema().get("$defs", {})}
    parts = []
    for name, definition in definitions.items():
        if name in shown_there:
            continue
        if "properties" not in definition:
            values = ", ".join(f"`{value}`" for value in definition["enum"])
            body = [definition.get("description", ""), f"One of {values}."]
        else:
            fields = [(f"`{field}`", kind(of)) for field, of in definition["properties"].items()]
            body = [prose(definition.get("description")), table(("Field", "Holds"), fields)]
        parts.append("\n\n".join([f"{'#' * level} {name}", *filter(None, body)]))
    return "\n\n".join(parts)
