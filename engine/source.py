"""Reading a YAML file: safely, with limits, and with the place of every key and value kept."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from engine.errors import Fault, Place, RuleFileError

MAX_BYTES = 1_000_000
MAX_DEPTH = 40
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)$")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

KeyPath = tuple[str | int, ...]


@dataclass(slots=True)
class Source:
    """A file as plain data, and where each part of it stands.

    `places` maps a path of keys to the mark of its value, `key_places` to the mark of the key itself.
    """

    file: str
    text: str
    data: Any
    digest: str
    places: dict[KeyPath, tuple[int, int, int, int]] = field(default_factory=dict)
    key_places: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)

    def place(self, path: KeyPath, key: bool = False) -> Place:
        """The place of the value (or key) at `path`, or of its nearest known ancestor."""
        while True:
            if key and path in self.key_places:
                return Place(self.file, *self.key_places[path])
            if path in self.places:
                line, column, _, _ = self.places[path]
                return Place(self.file, line, column)
            if not path:
                return Place(self.file, 1, 1)
            path = path[:-1]
            key = False

    def place_inside(self, path: KeyPath, offset: int) -> Place:
        """The place of the character `offset` of the scalar at `path`, also when it runs over several lines."""
        if path not in self.places:
            return self.place(path)
        line, column, start, end = self.places[path]
        value = _at(self.data, path)
        if not isinstance(value, str):
            return Place(self.file, line, column)
        wanted = sum(1 for c in value[:offset] if not c.isspace())
        seen = 0
        raw = self.text[start:end]
        if raw[:1] in "\"'":
            raw, column = raw[1:], column + 1
        elif raw[:1] in "|>":
            head = raw.find("\n") + 1
            raw, line, column = raw[head:], line + 1, 1
        for char in raw:
            if not char.isspace():
                if seen == wanted:
                    break
                seen += 1
            if char == "\n":
                line, column = line + 1, 1
            else:
                column += 1
        return Place(self.file, line, column)


def _at(data: Any, path: KeyPath) -> Any:
    for key in path:
        data = data[key]
    return data


def digest_of(raw: bytes) -> str:
    """The digest that names the exact bytes of a rule file."""
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def read(path: Path, name: str | None = None) -> Source:
    """Read a YAML file. Raises RuleFileError with the place and the remedy."""
    file = name or str(path)
    size = path.stat().st_size
    if size > MAX_BYTES:
        message = f"the file has {size} bytes, more than the limit of {MAX_BYTES}"
        raise RuleFileError([Fault(Place(file, 1, 1), message, "split the policy, or move long texts out of it")])
    return parse(path.read_bytes(), file)


def parse(raw: bytes, file: str) -> Source:
    """Parse the bytes of a YAML file into plain data with places."""
    if len(raw) > MAX_BYTES:
        raise RuleFileError([Fault(Place(file, 1, 1), f"more than the limit of {MAX_BYTES} bytes", None)])
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise RuleFileError([Fault(Place(file, line, 1), "the file is not UTF-8", "save it as UTF-8")]) from None
    try:
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1, 1)
        said = " ".join(str(part) for part in (error.context, error.problem) if part)
        raise RuleFileError([Fault(place, f"this is not YAML: {said}", "check indentation, quotes and colons")]) from None
    except (yaml.YAMLError, RecursionError) as error:
        said = "it is nested too deep" if isinstance(error, RecursionError) else str(error).splitlines()[0]
        raise RuleFileError([Fault(Place(file, 1, 1), f"this is not YAML: {said}", None)]) from None
    if node is None:
        raise RuleFileError([Fault(Place(file, 1, 1), "the file is empty", "`policy new` writes a first version")])
    source = Source(file, text, None, digest_of(raw))
    reader = _Reader(source)
    source.data = reader.value(node, ())
    if reader.faults:
        raise RuleFileError(reader.faults)
    return source


class _Reader:
    """Turns composed YAML nodes into plain data; refuses what a rule file may not hold."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.faults: list[Fault] = []
        self.seen: set[int] = set()

    def fault(self, node: Any, message: str, help: str | None = None) -> None:
        mark = node.start_mark
        self.faults.append(Fault(Place(self.source.file, mark.line + 1, mark.column + 1), message, help))

    def value(self, node: Any, path: KeyPath) -> Any:
        start, end = node.start_mark, node.end_mark
        self.source.places[path] = (start.line + 1, start.column + 1, start.index, end.index)
        if id(node) in self.seen:
            self.fault(node, "an alias repeats another part of the file", "write the value out; anchors and aliases are not used")
            return None
        self.seen.add(id(node))
        if len(path) > MAX_DEPTH:
            self.fault(node, f"nested deeper than {MAX_DEPTH} levels", None)
            return None
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
        return self.mapping(node, path)

    def scalar(self, node: Any) -> str | int | bool | None:
        text: str = node.value
        if not node.tag.startswith("tag:yaml.org,2002:"):
            self.fault(node, f"the tag `{node.tag}` is not allowed", "remove the tag")
        if node.style in ("'", '"', "|", ">"):
            return text
        if text in ("null", "~", ""):
            return None
        if text in ("true", "false"):
            return text == "true"
        if _INTEGER.match(text) and len(text) < 20:
            return int(text)
        return text

    def mapping(self, node: Any, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.fault(key_node, "a key must be a plain text", None)
                continue
            key = key_node.value
            if key in result:
                first = self.source.place((*path, key), key=True)
                self.fault(key_node, f"the key `{key}` stands twice", f"the first one is on line {first.line}; keep one of them")
                continue
            self.source.key_places[(*path, key)] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            result[key] = self.value(value_node, (*path, key))
        return result
