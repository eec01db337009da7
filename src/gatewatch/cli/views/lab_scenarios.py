"""How scenarios are shown: a line each, or one in words."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from rich.console import RenderableType

from gatewatch.cli.human import grid, heading, text
from gatewatch.cli.session import Session
from gatewatch.cli.sheet import sheet_of
from gatewatch.lab.rules import Censor
from gatewatch.lab.scenario import Scenario

LISTED = ["id", "kind", "title", "countries", "networks", "censors", "targets"]


def listed(scenario: Scenario) -> dict[str, object]:
    """A scenario's line in the list."""
    vantages = scenario.vantages
    return {
        "id": scenario.id,
        "kind": scenario.kind,
        "title": scenario.title,
        "countries": sorted({scenario.networks[name].country for name in vantages}),
        "networks": len(vantages),
        "censors": len(scenario.censors),
        "targets": len({expectation.url for expectation in scenario.expect}),
    }


def show_scenario(session: Session, scenario: Scenario) -> None:
    """One scenario; the rows are what it expects."""
    rows = [
        {
            "url": expectation.url,
            "networks": list(expectation.networks or scenario.vantages),
            "outcome": expectation.outcome,
            "mechanisms": list(expectation.mechanisms),
            "by": list(expectation.by),
            "accept": list(expectation.accept),
            "words": expectation.words,
        }
        for expectation in scenario.expect
    ]
    session.show(
        sheet_of(rows, ["url", "networks", "outcome", "mechanisms", "by", "accept", "words"]),
        document=msgspec.to_builtins(scenario),
        view=lambda: _view(scenario),
    )


def _view(scenario: Scenario) -> Iterable[RenderableType]:
    yield text(scenario.title, "bold")
    yield text(" ".join(scenario.words.split()))
    if scenario.source:
        yield text(f"Described in: {'; '.join(scenario.source)}", "dim")
    yield heading("Vantage points")
    yield grid(
        ["network", "where", "addresses", "resolver"],
        [
            (
                name,
                f"AS{network.asn} {network.name} ({network.country})",
                ", ".join(network.probe),
                network.resolver or "",
            )
            for name, network in scenario.networks.items()
            if network.probe
        ],
    )
    if scenario.censors:
        yield heading("Censors")
        yield grid(
            ["censor", "at", "sees", "does"],
            [
                (censor.id, censor.at, _said(censor.trigger), _done(censor))
                for censor in scenario.censors
            ],
        )
    yield heading("What is true")
    yield grid(
        ["target", "on", "outcome", "how"],
        [
            (
                expectation.url,
                ", ".join(expectation.networks) or "all",
                expectation.outcome,
                ", ".join(expectation.mechanisms),
            )
            for expectation in scenario.expect
        ],
    )


def _done(censor: Censor) -> str:
    """What a censor does, and what is left of it afterwards."""
    action = _said(censor.action)
    return f"{action}; residual {{{_said(censor.residual)}}}" if censor.residual else action


def _said(struct: msgspec.Struct) -> str:
    """What of a trigger or an action differs from its defaults, as the scenario would write it."""
    found = list[str]()
    for name, default in zip(struct.__struct_fields__, _defaults(struct), strict=True):
        value = getattr(struct, name)
        if value == default:
            continue
        if isinstance(value, msgspec.Struct):
            inner = _said(value)
            found.append(f"{name} {{{inner}}}" if inner else name)
        elif isinstance(value, tuple):
            found.append(f"{name} {', '.join(map(str, value))}")
        else:
            found.append(name if value is True else f"{name} {value}")
    return "; ".join(found)


def _defaults(struct: msgspec.Struct) -> list[object]:
    """The default of each field; a field without one equals nothing."""
    return [
        field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
        for field in msgspec.structs.fields(struct)
    ]
