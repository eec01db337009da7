"""`gatewatch control` on the command line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.speed.submit import Client, Server
from gatewatch.cli.app import load
from tests.server.control import ABOUT, measurement

APP = load()


def run(*line: str):
    return CliRunner().invoke(APP, ["control", *line], prog_name="gatewatch")


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        pytest.param(["--tls-cert", "a.pem"], 2, "belong together", id="a certificate alone"),
        pytest.param(["--tls-key", "a.pem"], 2, "belong together", id="a key alone"),
        pytest.param(["--collector", "a_b"], 2, "letters and digits", id="a name with a line"),
        pytest.param(["--tls-cert", "a", "--tls-key", "a"], 1, "No such file", id="no certificate"),
        pytest.param(["--anchor-tls-port", "0"], 1, "wants a certificate", id="an anchor without"),
        pytest.param(["--host", "192.0.2.1"], 1, "192.0.2.1:0", id="an address of another"),
        pytest.param(["--own", "nonsense"], 1, "addresses and networks", id="no address"),
        pytest.param(["--run-links", "nowhere"], 1, "nowhere", id="no folder"),
        pytest.param(["--tor-targets", "nowhere"], 1, "tor targets", id="no targets"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(tmp_path: Path, options, code, words):
    result = run("serve", "--port", "0", "--store", str(tmp_path / "store"), *options)
    assert result.exit_code == code, result.output
    assert words in result.output
    assert result.output.count("\n") == 1


def test_status_says_what_waits_and_analyze_takes_it(tmp_path: Path):
    store = str(tmp_path / "store")

    async def killed() -> None:
        server = Server(tmp_path / "store")
        await server.start()
        client = Client(server)
        _, report = await client.post("/report", json.dumps(ABOUT).encode())
        body = json.dumps({"content": measurement()}).encode()
        assert (await client.post(f"/report/{report['report_id']}", body))[0] == 200
        told = json.loads(run("status", "--json", "--store", store).stdout)
        assert (told["served"], told["open_bytes"] > 0) == (True, True)
        await server.kill()
        client.close()

    asyncio.run(killed())
    told = json.loads(run("status", "--json", "--store", store).stdout)
    assert (told["served"], told["segments"], told["open_bytes"] > 0) == (False, 0, True)
    judged = CliRunner().invoke(APP, ["analyze", "--json", "--store", store])
    assert json.loads(judged.stdout)["verdicts"] == 1
    told = json.loads(run("status", "--json", "--store", store).stdout)
    assert told == {"served": False, "segments": 0, "bytes": 0, "open_bytes": 0}
