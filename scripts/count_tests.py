#!/usr/bin/env python3
"""Reads the test runs' JUnit reports and prints the one line that says how it went:  N passed, N failed, N skipped.

Usage: count_tests.py STATUS REPORT.xml…      (STATUS: the worst exit status of what ran)
Exits 1 when anything failed, when nothing ran, or when something failed for a reason the reports do not show.
"""
import sys
import xml.etree.ElementTree as tree

status, reports = int(sys.argv[1]), sys.argv[2:]
passed = failed = skipped = 0
for report in reports:
    try:
        cases = list(tree.parse(report).getroot().iter("testcase"))
    except (OSError, tree.ParseError) as why:
        print(f"no test report: {why}")
        cases, status = [], status or 1
    for case in cases:
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            print(f"failed: {case.get('classname')}: {case.get('name')}")
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
if status != 0 and failed == 0:
    print(f"something beside the tests failed, with status {status}; see above")
    failed = 1
if passed == 0 and failed == 0:
    print("no test ran")
    failed = 1
print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
sys.exit(1 if failed else 0)
