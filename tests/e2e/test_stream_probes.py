"""What streamProbe says through real gateways, and that docs/gateways.md has the same in its table."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.conftest import Start, absent
from tests.e2e.gateways import NAME
from tests.e2e.stream_probes import (
    SHORT,
    SILENCE,
    TABLE,
    Seen,
    Setting,
    TraceWire,
    behind,
    measure,
    path_of,
    program_of,
    rows,
)
from tests.e2e.trace import Trace

pytestmark = pytest.mark.slow

GUIDE = Path(__file__).parents[2] / "docs" / "gateways.md"


def measured(settings: Sequence[Setting], silence: float, directory: Path) -> list[Seen]:
    """Return what is seen through gateways, if they are here."""
    try:
        return measure(settings, silence, directory)
    except FileNotFoundError as error:
        absent(str(error))
        raise


def collected(seen: Seen) -> int:
    """Return after how many whole seconds all events came, which were written over a little more than one."""
    told = seen.findings["stream-buffered"]
    found = re.match(r"5 events written over 1\.\d s arrived together after (\d)", told)
    assert found, told
    return int(found[1])


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Seen]:
    """What is seen with each row of the table."""
    seen = measured(TABLE, SILENCE, tmp_path_factory.mktemp("table") / "all")
    return {(setting.gateway, setting.name): each for setting, each in zip(TABLE, seen, strict=True)}


def test_the_guide_has_what_gateways_do(table: dict[tuple[str, str], Seen]) -> None:
    """docs/gateways.md: the table comes from python -m tests.e2e.stream_probes."""
    wanted = rows(TABLE, list(table.values()))
    written = [line for line in GUIDE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert [line for line in wanted if line.startswith("| ") and line not in written] == []


def test_a_gateway_that_collects_is_a_finding_with_the_clump(table: dict[tuple[str, str], Seen]) -> None:
    """docs/findings.md: nginx and haproxy pass on what pushes their buffers over, others what has ended."""
    forced = table["nginx", "`proxy_ignore_headers X-Accel-Buffering`"]
    assert collected(forced) in (4, 5)
    assert any("Events 1 to 5 on the stream of this POST, written over 1" in note for note in forced.notes)
    some = table["haproxy", "`http-response wait-for-body`"]
    assert collected(some) in (4, 5)
    for gateway in (("Caddy", "`buffer_responses`"), ("Traefik", "the middleware `buffering`")):
        assert collected(table[gateway]) in (7, 8), gateway


def test_the_documented_configurations_are_clean(table: dict[tuple[str, str], Seen]) -> None:
    """docs/gateways.md: events leave as they come, and streams live longer than they are silent."""
    documented = {
        gateway: seen for gateway, seen in table.items() if gateway[1].endswith((" file", " files"))
    }
    assert {gateway for gateway, _ in documented} == {"nginx", "Caddy", "Traefik", "haproxy", "Envoy"}
    for gateway, seen in documented.items():
        assert (seen.verdict, seen.findings, seen.cut) == ("prompt", {}, None), gateway
        assert seen.outlived == pytest.approx(SILENCE, abs=0.5), gateway


def test_a_limit_on_silence_is_found_to_a_fifth_of_a_second(tmp_path: Path) -> None:
    """docs/findings.md, stream-cut-idle: each gateway's own knob, set to two seconds."""
    seen = measured(SHORT, 3, tmp_path / "all")
    for setting, each in zip(SHORT, seen, strict=True):
        assert each.cut == pytest.approx(2.0, abs=0.2), setting.name
        said = f"cuts after {each.cut:.1f} s of silence, as a probe shows"
        assert said in each.findings["stream-cut-idle"], setting.name
        assert each.verdict == "prompt", setting.name


def test_envoy_s_limit_is_one_on_the_whole_answer(start: Start, tmp_path: Path) -> None:
    """docs/gateways.md: events in between do not help, and what is cut then was not silent."""
    (setting,) = (each for each in TABLE if (each.gateway, each.name) == ("Envoy", "its defaults"))
    path = program_of(setting.gateway)
    if path is None:
        absent("Envoy is not here: run tests/e2e/setup_clients.py")
    daemon = start("--allowed-hosts", f"127.0.0.1,{NAME}")
    trace = Trace(daemon, "Envoy")
    with behind(setting, str(path), daemon, tmp_path / "envoy") as gateway:
        begun = time.monotonic()
        with TraceWire(gateway, path_of(trace)) as wire:
            assert wire.probe(events=10, every=2) is None
        assert time.monotonic() - begun == pytest.approx(15, abs=2)
    assert [each.id for each in trace.report().findings if each.id.startswith("stream-")] == []
