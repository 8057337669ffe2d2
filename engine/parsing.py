"""Reading the text of an expression: Python's expression syntax, with limits, as a tree that is typed elsewhere and never run.

Texts in quotes are taken as they are, without escapes, and a field may be named by any word (`discount.in`): before the text is parsed both are
covered by placeholders of the same length, and put back into the tree afterwards. So every offset stays what it was.
"""

from __future__ import annotations

import ast
import keyword
import re
import unicodedata

MAX_LENGTH = 4_000
MAX_NESTING = 60
_TOKEN = re.compile(r"""(?P<text>"[^"]*"?|'[^']*'?)|(?P<word>[^\W\d]\w*)|(?P<number>\d[\w.]*)|(?P<space>\s+)|(?P<other>.)""", re.DOTALL)
_GLUED = re.compile(r"^[\d_.]+(?:and|else|for|if|in|is|not|or)$")
_CLOSING = {")": "(", "]": "[", "}": "{"}
_INSTEAD = {"≤": "<=", "≥": ">=", "≠": "!=", "×": "*", "−": "-", "“": '"', "”": '"', "‘": '"', "’": '"', "。": ".", "、": ","}
LANGUAGE = "docs/authoring.md lists what there is"


class ExpressionFault(Exception):
    """One fault inside an expression, with the offset of the character where it stands."""

    def __init__(self, offset: int, message: str, help: str | None = None) -> None:
        self.offset, self.message, self.help = offset, message, help
        super().__init__(message)


def parsed(text: str) -> tuple[ast.expr, str, int]:
    """The tree of an expression, the text that was parsed, and the offset at which that begins. Raises ExpressionFault."""
    if len(text) > MAX_LENGTH:
        raise ExpressionFault(0, f"the expression has {len(text)} characters, more than the limit of {MAX_LENGTH}", "split it into formulas")
    covered, originals = _covered(text)
    plain = covered.lstrip()
    start = len(covered) - len(plain)
    if not plain:
        raise ExpressionFault(0, "the expression is empty")
    try:
        tree = ast.parse(plain, mode="eval").body
    except SyntaxError as error:
        raise _syntax(error, text, start) from None
    except (ValueError, RecursionError, MemoryError):
        raise _too_deep(start) from None
    _restore(tree, originals, start)
    return tree, plain, start


def _too_deep(start: int) -> ExpressionFault:
    return ExpressionFault(start, f"the expression is nested deeper than {MAX_NESTING} levels", "split it into formulas")


def _covered(text: str) -> tuple[str, dict[int, str]]:
    """The text in plain ASCII, with placeholders for quoted texts, for fields named by keywords and for other alphabets; and what they stand for."""
    parts: list[str] = []
    originals: dict[int, str] = {}
    open_: list[int] = []
    before = ""  # the token before this one, spaces left out
    end = 0  # where it ended
    for found in _TOKEN.finditer(text):
        at, token, kind = found.start(), found.group(), found.lastgroup
        if kind == "space":
            parts.append(" " * len(token))
            continue
        if kind == "text":
            _check_text(text, token, at, before, end)
            originals[at] = token[1:-1]
            token = f'"{"x" * (len(token) - 2)}"'
        elif kind == "word":
            if not token.isascii() or (before == "." and keyword.iskeyword(token)):
                originals[at] = token
                token = "_" * len(token)
        elif kind == "number":
            if _GLUED.search(token):
                raise ExpressionFault(at, f"this is no expression at `{token[:40]}`", "put a space between a number and a word")
        else:
            _check_other(token, at, open_, text)
        before, end = found.group(), found.end()
        parts.append(token)
    if open_:
        raise ExpressionFault(open_[-1], f"this is no expression: `{text[open_[-1]]}` is never closed")
    return "".join(parts), originals


def _check_text(text: str, token: str, at: int, before: str, end: int) -> None:
    if len(token) < 2 or token[-1] != token[0]:
        raise ExpressionFault(at, f"this is no expression: the text that begins with `{token[0]}` never ends", "close the quotes")
    if end == at and before.isidentifier():
        raise ExpressionFault(at - len(before), f"`{(before + token)[:60]}` is not part of the rule language", LANGUAGE)
    if before[:1] in ('"', "'"):
        raise ExpressionFault(at, "this is no expression: two texts side by side", "write one text, or put an operator between them")


def _check_other(token: str, at: int, open_: list[int], text: str) -> None:
    if token in "([{":
        open_.append(at)
        if len(open_) > MAX_NESTING:
            raise _too_deep(len(text) - len(text.lstrip()))
    elif token in _CLOSING:
        if not open_ or text[open_[-1]] != _CLOSING[token]:
            said = f"does not close `{text[open_[-1]]}`" if open_ else "closes nothing"
            raise ExpressionFault(at, f"this is no expression: `{token}` {said}")
        open_.pop()
    elif token in ("#", "\\", ";"):
        help = "a comment stands in YAML, outside the expression" if token == "#" else None
        raise ExpressionFault(at, f"this is no expression: `{token}` cannot stand here", help)
    elif not token.isascii():
        half = unicodedata.normalize("NFKC", token)
        instead = _INSTEAD.get(token) or (half if half.isascii() and half.isprintable() else None)
        help = f"write {'the half-width ' if token not in _INSTEAD else ''}`{instead}`" if instead else "write it in quotes if it is part of a text"
        raise ExpressionFault(at, f"this is no expression: `{token}` cannot stand here", help)


def _syntax(error: SyntaxError, text: str, start: int) -> ExpressionFault:
    at = min(start + max(0, (error.offset or 1) - 1), max(0, len(text.rstrip()) - 1))
    found = _TOKEN.match(text, at)
    if found and found.group() == "for":
        return ExpressionFault(at, "`for` is not part of the rule language here", "it stands in brackets, or in `count(…)`, `sum(…)`, `any(…)`, `all(…)`")
    near = f" at `{found.group()[:40]}`" if found and found.lastgroup != "space" else ""
    help = None
    if "&" in text or "|" in text or "!" in text.replace("!=", ""):
        help = "write `and`, `or`, `not`"
    elif "else" in error.msg:
        help = "`a if c else b` needs its `else`"
    elif re.search(r"(?<![=<>!])=(?!=)", text):
        help = "`==` compares"
    return ExpressionFault(at, f"this is no expression{near}", help)


def _restore(tree: ast.expr, originals: dict[int, str], start: int) -> None:
    """Put back what the placeholders stand for; refuse what is nested too deep."""
    rest: list[tuple[ast.AST, int]] = [(tree, 1)]
    while rest:
        node, depth = rest.pop()
        if depth > MAX_NESTING:
            raise _too_deep(start)
        if isinstance(node, ast.Name):
            node.id = originals.get(node.col_offset + start, node.id)
        elif isinstance(node, ast.Attribute):
            assert node.end_col_offset is not None
            node.attr = originals.get(node.end_col_offset - len(node.attr) + start, node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = originals.get(node.col_offset + start, node.value)
        rest += [(child, depth + isinstance(child, ast.expr)) for child in ast.iter_child_nodes(node)]
