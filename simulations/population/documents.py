"""JSON in DuckDB SQL without loss: numbers as the texts they were written as, the spellings of dotted names, the shape of objects.

DuckDB reads the numbers of JSON as doubles, which money must never pass through. So each number becomes a text that begins with MARK before JSON is parsed.
"""

from __future__ import annotations

from collections.abc import Iterable

from simulations.population.spelling import literal, literals

#: No text of a request begins with this control character.
MARK = "\x01"
_MARKED = r"\u0001"
#: Whatever is no number (whole strings among it), then a number or the end of the text: so every match begins outside of a string.
_BEFORE_NUMBER = r'((?:[^"0-9-]|"(?:[^"\\]|\\.)*")*)(-?[0-9][0-9.eE+-]*|$)'
_QUOTED = r'\1"\\u0001\2"'

Keys = tuple[str, ...]


def marked(text: str) -> str:
    """JSON text with each number as a marked string."""
    replaced = f"regexp_replace({text}, {literal(_BEFORE_NUMBER)}, {literal(_QUOTED)}, 'g')"
    return f"left({replaced}, -{len(_MARKED) + 2})"


def unmarked(text: str) -> str:
    """A text out of such JSON as people wrote it, to show."""
    return f"replace(replace({text}, {literal(_MARKED)}, ''), chr(1), '')"


def spellings(name: str) -> list[Keys]:
    """The ways to write a dotted name with nested objects: `a.b` as one key, or `b` inside `a`. The nested one comes first."""
    head, _, rest = name.partition(".")
    if not rest:
        return [(head,)]
    longer = [(head + "." + keys[0], *keys[1:]) for keys in spellings(rest)]
    return [(head, *keys) for keys in spellings(rest)] + longer


def path(keys: Keys) -> str:
    """The path of a value in JSON, as DuckDB writes it."""
    return "$" + "".join('."' + key.replace("\\", "\\\\").replace('"', '\\"') + '"' for key in keys)


def paths(found: Iterable[Keys]) -> str:
    """Several paths as an SQL list; JSON functions read the document once for all."""
    return f"[{literals([path(keys) for keys in found])}]"


def objects(names: Iterable[str]) -> dict[Keys, set[str]]:
    """The objects that may hold these dotted names, the outermost first, and the keys that each may have."""
    found: dict[Keys, set[str]] = {(): set()}
    for name in names:
        for keys in spellings(name):
            for i, key in enumerate(keys):
                found.setdefault(keys[:i], set()).add(key)
    return found


def twice(document: str, keys: Keys) -> str:
    """Whether a key stands twice in an object."""
    found = f"json_keys({document}, {literal(path(keys))})"
    return f"len({found}) <> list_unique({found})"


def no_object(document: str, keys: Keys) -> str:
    """Whether something else stands where an object is expected; nothing at all may."""
    return f"coalesce(json_type({document}, {literal(path(keys))}) <> 'OBJECT', false)"


def other_keys(document: str, keys: Keys, known: set[str]) -> str:
    """Whether an object has keys that are not known."""
    found = f"json_keys({document}, {literal(path(keys))})"
    return f"NOT list_has_all([{literals(sorted(known))}], coalesce({found}, []))"
