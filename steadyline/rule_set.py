"""The rules of alerts of a line as one value: all defaults in it, a version, and changes proposed to it."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from math import isfinite
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from steadyline.alert_rules import LineAlerts, ProductAlerts
from steadyline.digest import sha256
from steadyline.errors import InvalidConfiguration
from steadyline.line import Line, problem_of
from steadyline.line_fields import LineSection, Name
from steadyline.yaml_lines import Location

S = TypeVar("S", bound=LineSection)


class WrongRules(InvalidConfiguration):
    """Proposed rules do not fit; ``problems`` has the place of each in what was proposed, and what it is."""

    reason = "wrong_rules"

    def __init__(self, problems: Sequence[tuple[Location, str]]) -> None:
        super().__init__(*(f"{'.'.join(map(str, place)) or 'rules'}: {what}" for place, what in problems))
        self.problems = tuple(problems)


class ProductRules(LineSection):
    """The rules of one product, where the line file has them."""

    alerts: ProductAlerts = Field(ProductAlerts(), description="The section `alerts` of the product.")


class RuleSet(LineSection):
    """The rules of one line, where the line file has them."""

    alerts: LineAlerts = Field(LineAlerts(), description="The section `alerts` of the line.")
    products: dict[Name, ProductRules] = Field(description="Product → its rules.")

    @staticmethod
    def of(line: Line) -> "RuleSet":
        """Return the rules in force on a line."""
        products = {name: ProductRules(alerts=product.alerts) for name, product in line.products.items()}
        return RuleSet(alerts=line.alerts, products=products)

    def on(self, line: Line) -> Line:
        """Return the line with these rules; it must have the same products."""
        products = {
            name: product.model_copy(update={"alerts": self.products[name].alerts})
            for name, product in line.products.items()
        }
        return line.model_copy(update={"alerts": self.alerts, "products": products})

    def written(self) -> dict[str, Any]:
        """Return the rules as a line file may write them, with nothing left to a default."""
        found = _written(self.model_dump())
        assert isinstance(found, dict)
        return found

    @property
    def version(self) -> str:
        """The SHA-256 of what they say, in hex: the same rules have the same one on every machine."""
        return sha256(json.dumps(self.written(), sort_keys=True, separators=(",", ":")).encode())

    def proposed(self, changes: object) -> "RuleSet":
        """Return these rules with what ``changes`` name put in their place; all else stays as it is.

        ``changes`` have the form of the line file: ``alerts``, ``products.NAME.alerts``; raises WrongRules.
        """
        problems: list[tuple[Location, str]] = []
        if not isinstance(changes, Mapping):
            raise WrongRules([((), "alerts: or products: is wanted, as in the line file")])
        problems += [((str(key),), "unknown field") for key in changes if key not in ("alerts", "products")]
        alerts = _merged(self.alerts, changes.get("alerts", {}), ("alerts",), problems)
        given, products = changes.get("products", {}), dict(self.products)
        if not isinstance(given, Mapping):
            problems.append((("products",), "product names and their rules are wanted"))
            given = {}
        for name, rules in given.items():
            place = ("products", str(name))
            if name not in products:
                problems.append((place, f"there is no such product; there are {', '.join(sorted(products))}"))
            elif not isinstance(rules, Mapping):
                problems.append((place, "alerts: is wanted"))
            else:
                problems += [((*place, str(key)), "unknown field") for key in rules if key != "alerts"]
                after = _merged(products[name].alerts, rules.get("alerts", {}), (*place, "alerts"), problems)
                products[name] = ProductRules(alerts=after)
        if problems:
            raise WrongRules(problems)
        return RuleSet(alerts=alerts, products=products)


def _merged(before: S, changes: object, place: Location, problems: list[tuple[Location, str]]) -> S:
    try:
        return type(before).model_validate(_over(before.model_dump(), changes))
    except ValidationError as error:
        problems += [((*place, *item["loc"]), problem_of(item)) for item in error.errors()]
        return before


def _over(before: object, changes: object) -> object:
    """Put what is named over what is there; a section is gone through, all else is replaced."""
    if isinstance(before, dict) and isinstance(changes, Mapping):
        return {**before, **{key: _over(before.get(key), value) for key, value in changes.items()}}
    return changes


def _written(value: object) -> object:
    match value:
        case timedelta():
            return f"{value.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"
        case float() if not isfinite(value):
            return str(value)  # JSON has no such number; reading takes the word
        case dict():
            return {key: _written(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_written(inner) for inner in value]
        case _:
            return value
