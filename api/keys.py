"""API keys and roles. A key is kept as its SHA-256 only; roles include those before them: decide, author, admin."""

from __future__ import annotations

import hashlib
import ipaddress
import os
from pathlib import Path

import yaml

from api.problems import Problem

ROLES = ("decide", "author", "admin")
ENVIRONMENT = "POLICY_API_KEYS"


class Keys:
    """Which key has which role. Without any key every caller has every role (loopback only, see `refuse_open`)."""

    def __init__(self, roles: dict[str, int] | None = None) -> None:
        self._roles = roles or {}

    def __bool__(self) -> bool:
        return bool(self._roles)

    def demand(self, header: bytes | None, role: str) -> None:
        """Raises Problem 401 without a known key, 403 if its role is not enough."""
        if not self._roles:
            return
        scheme, _, key = (header or b"").partition(b" ")
        found = self._roles.get(hashlib.sha256(key.strip()).hexdigest()) if scheme.lower() == b"bearer" else None
        if found is None:
            raise Problem(401, "no-key", "A key is needed", "send a known API key as `Authorization: Bearer KEY`")
        if found < ROLES.index(role):
            raise Problem(403, "role", "The role is not enough", f"this needs the role `{role}`, the key has `{ROLES[found]}`")


def load(path: Path | None) -> Keys:
    """Keys of a YAML file (`- {name: …, role: decide, sha256: …}` or `key: …`) and of the environment (`name:role:key`, comma separated)."""
    entries: list[dict[str, str]] = []
    if path is not None:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(read, list) or not all(isinstance(e, dict) for e in read):
            raise ValueError(f"{path}: expected a list of {{name, role, sha256}}")
        entries += read
    for part in filter(None, os.environ.get(ENVIRONMENT, "").split(",")):
        name, role, key = ([*part.split(":", 2), "", ""])[:3]
        entries.append({"name": name.strip(), "role": role.strip(), "key": key.strip()})
    roles: dict[str, int] = {}
    for entry in entries:
        if entry.get("role") not in ROLES or not (entry.get("key") or entry.get("sha256")):
            raise ValueError(f"the key `{entry.get('name', '?')}` needs a role of {', '.join(ROLES)}, and `key` or `sha256`")
        digest = entry.get("sha256") or hashlib.sha256(str(entry["key"]).encode()).hexdigest()
        roles[digest] = ROLES.index(entry["role"])
    return Keys(roles)


def refuse_open(host: str, keys: Keys) -> None:
    """On any address but loopback keys are needed. Raises ValueError."""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback and not keys:
        raise ValueError(f"`{host}` can be reached by others: configure keys with --keys FILE or {ENVIRONMENT}, or bind to 127.0.0.1")
