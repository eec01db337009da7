"""One setting for all tests: what chance finds, it finds at the desk and not at the gate."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("gate", derandomize=True, print_blob=True)
if os.environ.get("CI"):
    settings.load_profile("gate")
