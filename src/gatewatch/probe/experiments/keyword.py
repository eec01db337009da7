"""Is a request in clear interfered with for a word in its path or query?"""

from __future__ import annotations

from gatewatch.probe.exchanges import target_of
from gatewatch.probe.experiments.attempts import answered
from gatewatch.probe.experiments.host_header import HostArms, in_clear, told
from gatewatch.probe.experiments.mechanism import Bench, Layer, Suspicion
from gatewatch.probe.experiments.swap import swap
from gatewatch.probe.finding import Finding


class Keyword:
    """Path and query of the URL, with an innocent Host and to an innocent address.

    Where that draws nothing, host and path together: there are lists of whole URLs.
    """

    name = "keyword"
    version = 1
    question = "Is a request in clear interfered with for a word in its path or query?"
    layers: frozenset[Layer] = frozenset({"http"})
    deep = False

    async def run(self, bench: Bench, suspicion: Suspicion) -> Finding | None:
        target = target_of(suspicion.url)
        if suspicion.kind not in ("failed", "page") or not in_clear(suspicion) or target == "/":
            return None
        if answered(bench, suspicion, "host_header", "name"):
            return None
        bench.tell(f"is it a word in {target}?")
        alone = HostArms(bench, suspicion, None, target)
        found = await swap(bench, alone, suspicion.address)
        what = "the path"
        if found.suspect and not found.failed:
            both = HostArms(bench, suspicion, suspicion.host, target)
            together = await swap(bench, both, suspicion.address)
            if together.answer == "name":
                found, what = together, "the whole URL, Host and path,"
        return told(self, suspicion, found, what, "keyword")


EXPERIMENT = Keyword()
