"""Have things go wrong between two daemons and their store while messages are sent, and count them.

    python -m tests.store_faults [--messages 1000]

Prints a table in Markdown. The exit status is 1 if a message was lost, came twice or out of order.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.e2e.faults import FAULTS, HEAD, NODES, row, run


def main() -> int:
    """Run all faults, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1000, help="acknowledged messages of each run")
    parser.add_argument("faults", nargs="*", help="names of functions in tests/e2e/faults.py; all if none")
    options = parser.parse_args()
    print(HEAD, flush=True)
    wrong = []
    runs = [*((fault, "redis") for fault in FAULTS), *((fault, "sqlite") for fault in NODES)]
    for fault, store in runs:
        if options.faults and fault.__name__ not in options.faults:
            continue
        with tempfile.TemporaryDirectory() as directory:
            report = run(fault, options.messages, Path(directory), store)
        print(row(fault, report, store), flush=True)
        if not report.verdict.right:
            wrong.append((fault.__name__, store, report.verdict))
        print(f"{dict(report.sender.outcomes)} {dict(report.receiver.refusals)}", file=sys.stderr)
    for each in wrong:
        print(each, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
