"""A small world as a file, the parts of it that tests replace, and what loading it then says."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatewatch.lab.load import load
from gatewatch.lab.scenario import BadScenario

GOOD = """
title = "A world"
words = "Small."
kind = "leaf"

[networks.isp]
asn = 137
name = "Consortium GARR"
country = "IT"
prefixes = ["130.192.0.0/16"]
hops = [["130.192.232.1"]]
probe = ["130.192.91.211"]
resolver = "130.192.3.21"

[hosts.resolver]
addresses = ["130.192.3.21"]
resolver = {}

[hosts.control]
addresses = ["130.192.5.5"]
names = ["th.lab"]
control = true

[hosts.site]
addresses = ["130.192.6.6"]
names = ["www.example.org"]
web = {}

[[censors]]
id = "resetter"
at = "isp"
trigger = { sni = [".example.org"] }
action = { reset = {} }

[[expect]]
url = "https://www.example.org/"
outcome = "blocked"
mechanisms = ["tls.reset.sni"]
by = ["resetter"]
"""

SNI = 'sni = [".example.org"]'
RESET = "action = { reset = {} }"
WEB = "web = {}"
CONTROL = "control = true"


def written(folder: Path, text: str) -> Path:
    path = folder / "world.toml"
    path.write_text(text, encoding="utf-8")
    return path


def changed(*changes: tuple[str, str]) -> str:
    """The small world with some of its words replaced, once each."""
    text = GOOD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def refusal(folder: Path, text: str) -> BadScenario:
    """What is said of a file that is not accepted."""
    with pytest.raises(BadScenario) as caught:
        load(written(folder, text))
    return caught.value
