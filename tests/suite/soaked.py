"""`python -m tests.suite.soaked FOLDER RUNS`: which tests failed in runs of scripts/soak, by their JUnit reports.

The exit status is 1 where any failed, or a run left no report.
"""

import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path


def count_failures(folder: Path) -> Counter[str]:
    """Return how often each test failed. Those that failed in their set-up or tear-down count too."""
    failures: Counter[str] = Counter()
    for report in folder.glob("*.xml"):
        cases = ET.parse(report).getroot().iter("testcase")
        bad = {name_of(case) for case in cases if case.find("failure") is not None or case.find("error") is not None}
        failures.update(bad)
    return failures


def name_of(case: ET.Element) -> str:
    return f"{case.get('classname')}::{case.get('name')}"


def main() -> int:
    folder, runs = Path(sys.argv[1]), int(sys.argv[2])
    complete, failures = len(list(folder.glob("*.xml"))), count_failures(folder)
    for name, times in failures.most_common():
        print(f"{times} of {runs} failed: {name}")
    if complete < runs:
        print(f"{runs - complete} of {runs} runs ended without a report")
    if not failures and complete == runs:
        print(f"soak: {runs} of {runs} runs were green")
    return 1 if failures or complete < runs else 0


if __name__ == "__main__":
    sys.exit(main())
