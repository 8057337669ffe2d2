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
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_NOT_PRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARK = re.compile(r"(?:^|[\s\[{,])[!*&][^\s=]", re.MULTILINE)
_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|\r?\n[ \t]*|.)", re.DOTALL)
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
        return self._place_of(value[:offset], line, column, self.text[start:end])

    def _place_of(self, before: str, line: int, column: int, raw: str) -> Place:
        """Where the text `before` ends in the scalar `raw` that begins at line and column; spaces and line ends do not count, YAML folds them."""
        wanted = sum(1 for c in before if not c.isspace())
        seen = 0
        quote = raw[:1] if raw[:1] in "\"'" else ""
        if quote:
            raw, column = raw[1:], column + 1
        elif raw[:1] in "|>":
            head = raw.find("\n") + 1
            raw, line, column = raw[head:], line + 1, 1
        i = 0
        while i < len(raw):
            escape = _ESCAPE.match(raw, i) if quote == '"' else None
            unit = escape.group() if escape else "''" if quote == "'" and raw.startswith("''", i) else raw[i]
            stands_for_space = unit.isspace() or (escape is not None and (unit[1] in " ntrvfNL_P\t\r\n" or unit == "\\x20"))
            if not stands_for_space:
                if seen == wanted:
                    break
                seen += 1
            ends = unit.count("\n")
            line, column = line + ends, len(unit) - unit.rfind("\n") if ends else column + len(unit)
            i += len(unit)
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
    text = _text_of(raw, file)
    try:
        marks = _marks(text, file)
        if marks:
            raise RuleFileError(marks)
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        raise RuleFileError([_no_yaml(error, file)]) from None
    except (yaml.YAMLError, RecursionError) as error:
        said = "it is nested too deep" if isinstance(error, RecursionError) else str(error).splitlines()[0]
        raise RuleFileError([Fault(Place(file, 1, 1), f"this is not YAML: {said}", None)]) from None
    source = Source(file, text, None, digest_of(raw))
    reader = _Reader(source)
    source.data = None if node is None else reader.value(node, ())
    if reader.faults:
        raise RuleFileError(reader.faults)
    if source.data is None:
        raise RuleFileError([Fault(Place(file, 1, 1), "the file is empty", "`policy new` writes a first version")])
    return source


def _text_of(raw: bytes, file: str) -> str:
    """The text of a file: UTF-8, and only what can be printed."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        column = len(raw[raw.rfind(b"\n", 0, error.start) + 1 : error.start].decode("utf-8", "replace")) + 1
        raise RuleFileError([Fault(Place(file, line, column), "the file is not UTF-8", "save it as UTF-8")]) from None
    odd = _NOT_PRINTABLE.search(text, 1 if text.startswith("\ufeff") else 0)
    if odd is not None:
        line, column = text.count("\n", 0, odd.start()) + 1, odd.start() - text.rfind("\n", 0, odd.start())
        message = f"a control character, U+{ord(odd.group()):04X}, that YAML does not allow"
        raise RuleFileError([Fault(Place(file, line, column), message, "delete it; it does not show in every editor")])
    return text


def _no_yaml(error: yaml.MarkedYAMLError, file: str) -> Fault:
    mark = error.problem_mark or error.context_mark
    place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1, 1)
    said = " ".join(str(part) for part in (error.context, error.problem) if part)
    help = "check indentation, quotes and colons"
    if "tab" in said.split() or "\\t" in said:
        help = "indent with spaces, not with tabs"
    elif "another document" in said:
        help = "one file holds one rule file, without `---` in it"
    return Fault(place, f"this is not YAML: {said}", help)


def _marks(text: str, file: str) -> list[Fault]:
    """The tags of a file, and its first alias: a rule file has none."""
    found: list[Fault] = []
    aliased = False
    for event in yaml.parse(text, Loader=_LOADER) if _MARK.search(text) else ():
        mark: Any = event.start_mark
        place = Place(file, mark.line + 1, mark.column + 1)
        if isinstance(event, yaml.AliasEvent) and not aliased:
            aliased = True
            found.append(Fault(place, "an alias repeats another part of the file", "write the value out; anchors and aliases are not used"))
        tag = getattr(event, "tag", None)
        if tag is not None:
            shown = tag.replace("tag:yaml.org,2002:", "!!")
            found.append(Fault(place, f"the tag `{shown}` is not allowed", "remove the tag"))
    return found


class _Reader:
    """Turns composed YAML nodes into plain data; refuses what a rule file may not hold."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.faults: list[Fault] = []

    def fault(self, node: Any, message: str, help: str | None = None) -> None:
        mark = node.start_mark
        self.faults.append(Fault(Place(self.source.file, mark.line + 1, mark.column + 1), message, help))

    def value(self, node: Any, path: KeyPath) -> Any:
        start, end = node.start_mark, node.end_mark
        self.source.places[path] = (start.line + 1, start.column + 1, start.index, end.index)
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
        if node.style in ("'", '"', "|", ">"):
            return text
        if text in ("null", "~", ""):
            return None
        if text in ("true", "false"):
            return text == "true"
        if _INTEGER.fullmatch(text) and len(text) < 20:
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
