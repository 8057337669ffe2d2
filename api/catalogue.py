"""The catalogue: which policies and versions there are, what they ask for, and what changed between two versions."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from api.decisions import moment
from api.state import State
from engine.diff import case_changes, diff
from engine.library import Library
from engine.schema import facts_schema
from engine.version import Version


class Text(BaseModel):
    en: str
    zh: str


class VersionView(BaseModel):
    version: int
    status: str
    digest: str
    effective_from: str
    effective_until: str | None
    released_at: str | None
    released_by: str | None
    supersedes: int | None


class PolicyView(BaseModel):
    policy: str
    family: str
    title: Text
    question: Text
    forms: list[str]
    uses: list[str]
    versions: list[VersionView]


class Catalogue(BaseModel):
    policies: list[PolicyView]


def version_view(version: Version) -> VersionView:
    policy, release = version.policy, version.release
    until = policy.effective_until
    return VersionView(
        version=policy.version, status=version.status, digest=policy.digest, effective_from=policy.effective_from.isoformat(),
        effective_until=until.isoformat() if until else None, released_at=release.released_at.isoformat() if release else None,
        released_by=release.released_by if release else None, supersedes=release.supersedes if release else None,
    )  # fmt: skip


def policy_view(library: Library, name: str) -> PolicyView:
    versions = library.versions[name]
    newest = versions[max(versions)].policy
    model = newest.model
    return PolicyView(
        policy=name, family=model.family, title=Text(**model.title.model_dump()), question=Text(**model.question.model_dump()),
        forms=list(newest.forms), uses=sorted(newest.uses), versions=[version_view(versions[n]) for n in sorted(versions)],
    )  # fmt: skip


def router(state: State) -> APIRouter:
    routes = APIRouter(prefix="/v1/policies", tags=["catalogue"])

    @routes.get("", summary="All policies with their versions")
    def policies() -> Catalogue:
        library = state.library
        return Catalogue(policies=[policy_view(library, name) for name in library.policies()])

    @routes.get("/{policy}", summary="One policy: its question, versions and periods")
    def policy(policy: str, known_at: Annotated[str | None, Query(description="periods as they were known at this instant")] = None) -> dict[str, Any]:
        library = state.library
        library._of(policy)
        periods = library.periods(policy, moment(known_at, "known_at"))
        return {**policy_view(library, policy).model_dump(), "in_force": [p.as_json() for p in periods]}

    @routes.get("/{policy}/versions/{number}", summary="One version: its rules as data")
    def version(policy: str, number: int) -> dict[str, Any]:
        found = state.library.version(policy, number)
        rules = found.policy.model.model_dump(by_alias=True, exclude_unset=True, mode="json")
        return {**version_view(found).model_dump(), "policy": policy, "rules": rules}

    @routes.get("/{policy}/versions/{number}/schema", summary="The JSON Schema of the facts of one version")
    def schema(policy: str, number: int) -> dict[str, Any]:
        return facts_schema(state.library.version(policy, number).policy)

    @routes.get("/{policy}/diff", summary="What changed between two versions")
    def compare(policy: str, from_: Annotated[int, Query(alias="from")], to: int) -> dict[str, Any]:
        library = state.library
        before, after = library.version(policy, from_), library.version(policy, to)
        return {**diff(before.policy.model, after.policy.model), "cases": case_changes(before.path, after.path)}

    return routes
