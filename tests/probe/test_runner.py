"""Jobs run side by side, within limits, and what is finished is handed over at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gatewatch.probe.runner import Done, Interrupted, Job, Limits, run_jobs

FAST = Limits(parallel=3, rate=10_000.0)


def jobs(*inputs: str) -> list[Job]:
    return [Job("web_connectivity", one) for one in inputs]


class Bench:
    """Measurements that end when they are told to; `most` is how many there were at a time."""

    def __init__(self) -> None:
        self.going: list[str] = []
        self.most, self.together = 0, set[frozenset[str]]()
        self.done: list[Done] = []
        self.gates: dict[str, asyncio.Event] = {}

    async def measure(self, job: Job) -> dict[str, Any]:
        name = job.input or ""
        self.going.append(name)
        self.most = max(self.most, len(self.going))
        self.together.add(frozenset(self.going))
        try:
            await self.gates[name].wait() if name in self.gates else await asyncio.sleep(0.002)
        finally:
            self.going.remove(name)
        return {"input": name}

    def told(self) -> list[str]:
        return [str(one.job.input) for one in self.done]


def test_every_job_is_done_and_no_more_than_allowed_at_a_time():
    async def go(bench: Bench) -> int:
        return await run_jobs(
            jobs(*(f"https://{n}.example/" for n in range(20))), bench.measure, bench.done.append,
            limits=FAST,
        )  # fmt: skip

    bench = Bench()
    assert asyncio.run(go(bench)) == 20
    assert sorted(bench.told()) == sorted(f"https://{n}.example/" for n in range(20))
    assert bench.most == 3


def test_two_inputs_of_one_host_are_never_measured_together():
    inputs = ["http://a.example/", "https://a.example/", "https://b.example/"]

    async def go(bench: Bench) -> None:
        await run_jobs(jobs(*inputs), bench.measure, bench.done.append, limits=FAST)

    bench = Bench()
    asyncio.run(go(bench))
    assert sorted(bench.told()) == sorted(inputs)
    assert not any({*inputs[:2]} <= together for together in bench.together)


def test_an_interruption_keeps_what_is_done_and_begins_nothing_more():
    async def go(bench: Bench) -> None:
        stop = asyncio.Event()
        bench.gates["https://slow.example/"] = asyncio.Event()

        def done(one: Done) -> None:
            bench.done.append(one)
            if one.job.input == "https://b.example/":
                stop.set()

        inputs = ["https://slow.example/", *(f"https://{c}.example/" for c in "abcdefg")]
        with pytest.raises(Interrupted):
            await run_jobs(jobs(*inputs), bench.measure, done,
                           limits=Limits(parallel=2, rate=10_000.0), stop=stop)  # fmt: skip

    bench = Bench()
    asyncio.run(go(bench))
    assert "https://a.example/" in bench.told()
    assert "https://g.example/" not in bench.told()
    assert bench.going == []


def test_a_measurement_that_breaks_is_told_and_the_others_go_on():
    async def measure(job: Job) -> dict[str, Any]:
        if job.input == "https://b.example/":
            raise RuntimeError("broken")
        return {}

    done: list[Done] = []
    asyncio.run(run_jobs(jobs(*(f"https://{c}.example/" for c in "abc")), measure, done.append,
                         limits=FAST))  # fmt: skip
    failures = {str(one.job.input): one.failure for one in done}
    assert failures["https://b.example/"] == "RuntimeError: broken"
    assert list(failures.values()).count(None) == 2


def test_a_measurement_that_never_ends_is_given_up():
    async def measure(job: Job) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    done: list[Done] = []
    limits = Limits(rate=10_000.0, job_s=0.05)
    asyncio.run(run_jobs(jobs("https://a.example/"), measure, done.append, limits=limits))
    assert [one.failure for one in done] == ["took too long"]


def test_no_more_are_begun_in_a_second_than_the_rate_allows():
    async def go() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await run_jobs(
            jobs(*(f"https://{n}.example/" for n in range(6))), Bench().measure, lambda one: None,
            limits=Limits(parallel=8, rate=20.0),
        )  # fmt: skip
        return loop.time() - began

    assert asyncio.run(go()) >= 5 / 20.0


def test_beyond_its_budget_of_time_a_run_begins_nothing():
    done: list[Done] = []

    async def go() -> int:
        return await run_jobs(
            jobs("https://a.example/"), Bench().measure, done.append, limits=Limits(budget_s=0.0)
        )

    assert asyncio.run(go()) == 0
    assert done == []
