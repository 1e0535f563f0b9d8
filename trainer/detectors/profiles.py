"""Profiles are dataclasses of a detector's numbers: find one by name, and override single numbers of it."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from steadyline.errors import InvalidConfiguration

Number = float | int | str | bool
Profile = TypeVar("Profile")


def named(profiles: Mapping[str, Profile], name: str, detector: str) -> Profile:
    """Return the profile ``name`` of ``detector``; raises InvalidConfiguration when there is none."""
    if name not in profiles:
        known = ", ".join(sorted(profiles))
        raise InvalidConfiguration(f"{detector} has no profile {name!r}; there are {known}")
    return profiles[name]


def with_overrides(profile: Profile, overrides: Mapping[str, Number]) -> Profile:
    """Return a profile with single numbers changed, as in ``{"switch": "sum", "schedule.steps": 100}``.

    Raises InvalidConfiguration for a name that the profile does not have.
    """
    for path, value in overrides.items():
        profile = _replaced(profile, path, path, value)
    return profile


def _replaced(part: Any, path: str, whole: str, value: Number) -> Any:
    name, _, rest = path.partition(".")
    if not is_dataclass(part) or name not in {field.name for field in fields(part)}:
        known = ", ".join(field.name for field in fields(part)) if is_dataclass(part) else "none"
        below = whole.removesuffix(path).rstrip(".")
        there = f"{below} has {known}" if below else f"there are {known}"
        raise InvalidConfiguration(f"the profile has no number {whole!r}: {there}")
    inner = _replaced(getattr(part, name), rest, whole, value) if rest else value
    return replace(part, **{name: inner})  # type: ignore[type-var]
