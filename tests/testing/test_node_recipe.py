"""The recipe for Node's test runner in docs/testing.md, with a stub in the place of the server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NODE = shutil.which("node")
DOCUMENT = Path(__file__).parents[2] / "docs" / "testing.md"
STUB = Path(__file__).parent / "stub.py"

TESTS = """
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { start, traced } from './mcp-echo.mjs';

const [python, stub, log] = %s;
let server;
before(async () => (server = await start([python, stub, log], [])));
after(() => server.stop());

function sends(level) {
  const body = JSON.stringify([{ id: 'id-reused', level }]);
  const headers = { 'content-type': 'application/json' };
  return async (url) => assert.ok((await fetch(url, { method: 'POST', headers, body })).ok);
}

test('an error', traced(() => server, sends('error')));
test('a warning', traced(() => server, sends('warning')));
test('a warning that counts', traced(() => server, sends('warning'), { level: 'warning' }));
test('one that is ignored', traced(() => server, sends('error'), { ignore: ['id-reused'] }));
test('no start', async () => {
  const program = 'print("no such option"); raise SystemExit(3)';
  await assert.rejects(start([python, '-c', program], []), /status 3; its log:\\nno such option/);
  await assert.rejects(start(['/nowhere/mcp-echo'], []), /ENOENT/);
});
"""


@pytest.mark.skipif(NODE is None, reason="there is no node: install nodejs 20 or newer")
def test_findings_fail_a_test_of_node_s(tmp_path: Path) -> None:
    """docs/testing.md: the same as the plugin does for pytest."""
    recipe, *_ = re.findall(r"```js\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "mcp-echo.mjs").write_text(recipe)
    log = tmp_path / "stub.log"
    words = json.dumps([sys.executable, str(STUB), str(log)])
    (tmp_path / "client.test.mjs").write_text(TESTS % words)
    command = [str(NODE), "--test", "--test-reporter=tap", "client.test.mjs"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    told = {name: how for how, name in re.findall(r"^(ok|not ok) \d+ - (.*)$", ran.stdout, re.MULTILINE)}
    assert told == {
        "an error": "not ok",
        "a warning": "ok",
        "a warning that counts": "not ok",
        "one that is ignored": "ok",
        "no start": "ok",
    }, ran.stdout
    assert "MUST https://example.org/rules#id-reused" in ran.stdout
    ended = [line for line in log.read_text().splitlines() if "DELETE" in line and "204" in line]
    assert len(ended) == 4
