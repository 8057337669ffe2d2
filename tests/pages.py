"""Pages read back: what the tests of reports share."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "input", "br", "img", "link"}
EVIL = "\"'><img src=x onerror=alert(1)></script><script>alert(2)</script>{{ 7 * 7 }}"


class Page(HTMLParser):
    """A page read back: its tags, ids, and the text that each language shows. Fails at tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[tuple[str, str | None]] = []
        self.shown: dict[str, list[str]] = {"en": [], "zh": []}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append((tag, dict(attrs).get("lang") if tag not in ("html",) else None))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        inside = {lang for _, lang in self.open}
        if self.open and self.open[-1][0] not in ("script", "style"):
            for language, other in (("en", "zh"), ("zh", "en")):
                if other not in inside:
                    self.shown[language].append(data)

    def text(self, language: str = "en") -> str:
        return re.sub(r"\s+", " ", "".join(self.shown[language]))

    def attributes(self, name: str) -> list[str]:
        return [str(a[name]) for _, a in self.tags if name in a]


def spoiled(value: Any) -> Any:
    """Every text of a summary with markup in it, but for numbers and the words that programs branch on; names of amounts are keys, too."""
    if isinstance(value, dict):
        named = {k: {EVIL + name: v for name, v in value[k].items()} for k in ("changes", "changes_total") if isinstance(value.get(k), dict)}
        value = value | named
        return {k: v if k in ("from", "to", "kind", "effect", "outcome", "state", "method", "unit") else spoiled(v) for k, v in value.items()}
    if isinstance(value, list):
        return [spoiled(v) for v in value]
    if isinstance(value, str) and not re.fullmatch(r"-?[\d.]+", value):
        return EVIL + value
    return value
