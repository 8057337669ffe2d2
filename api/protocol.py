"""uvicorn's HTTP protocol with one write for the head and the body of an answer, instead of two: one packet, one wake-up of the caller."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class OneWrite:
    """A transport that holds the head of an answer back until its body comes, or until it is closed."""

    __slots__ = ("_head", "_inner")

    def __init__(self, inner: asyncio.Transport) -> None:
        self._inner = inner
        self._head = b""

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and data.endswith(b"\r\n\r\n") and not data.startswith(b"HTTP/1.1 1"):
            self._head = data
            return
        self._inner.write(data)

    def close(self) -> None:
        if self._head:
            self._inner.write(self._head)
            self._head = b""
        self._inner.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 of uvicorn over a transport that writes once."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = OneWrite(transport)  # type: ignore[assignment]
