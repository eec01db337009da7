"""The stages run in order: files in, verdicts out; with a store, or straight through.

This is the one place where the rooms meet. It decides nothing about a measurement: it hands
the output of one room to the next, writes what they say, and keeps count.
"""

from gatewatch.flow.progress import Counted, Progress
from gatewatch.flow.stored import AnalyzeSummary, ImportSummary, analyze, import_paths
from gatewatch.flow.straight import Judged, judge_paths

__all__ = [
    "AnalyzeSummary",
    "Counted",
    "ImportSummary",
    "Judged",
    "Progress",
    "analyze",
    "import_paths",
    "judge_paths",
]
