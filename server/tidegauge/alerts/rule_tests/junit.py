"""What became of tests of rules, in JUnit's XML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree as xml

from tidegauge.alerts.rule_tests.checking import FileOutcome

# What XML 1.0 cannot hold.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(outcomes: Mapping[str, FileOutcome]) -> bytes:
    """Return the XML of test files by name: a suite a file, a case a test group."""
    top = xml.Element("testsuites")
    for file, outcome in outcomes.items():
        cases = [(one.name, one.failures) for one in outcome.tests]
        if outcome.failures:
            cases.insert(0, ("the file", outcome.failures))
        failed = sum(bool(failures) for _, failures in cases)
        suite = xml.SubElement(
            top,
            "testsuite",
            {"name": _clean(file), "tests": str(len(cases)), "failures": str(failed)},
        )
        for name, failures in cases:
            case = xml.SubElement(suite, "testcase", {"name": _clean(name), "classname": file})
            if failures:
                fault = xml.SubElement(case, "failure", {"message": "not as expected"})
                fault.text = _clean("\n".join(failures))
    found: bytes = xml.tostring(top, encoding="utf-8", xml_declaration=True)
    return found


def _clean(text: str) -> str:
    return _UNPRINTABLE.sub("\ufffd", text)
