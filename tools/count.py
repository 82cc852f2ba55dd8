#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Adds up what ran inside meson's tests: count.py TESTLOG.json...

Every unit test closes with Criterion's synthesis, every script with `N passed, N failed`. A program that fails
without having counted a failure (it crashed, it timed out) is one failure, and so is a log that is not there. Prints one closing line of its own.
"""
import json
import re
import sys

SYNTHESIS = re.compile(r"Synthesis: Tested: \D*(\d+)\D* Passing: \D*(\d+)\D* Failing: \D*(\d+)\D* Crashing: \D*(\d+)")
CLOSING = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.M)


def counts(test):
    text = re.sub(r"\x1b\[[0-9;]*m", "", (test.get("stdout") or "") + "\n" + (test.get("stderr") or ""))
    passed = failed = skipped = 0
    for _, passing, failing, crashing in SYNTHESIS.findall(text):
        passed, failed = passed + int(passing), failed + int(failing) + int(crashing)
    closing = CLOSING.findall(text)
    if closing:
        passed, failed, skipped = passed + int(closing[-1][0]), failed + int(closing[-1][1]), int(closing[-1][2] or 0)
    if test["result"] == "SKIP":
        return passed, failed, skipped or 1
    if test["result"] != "OK" and failed == 0:
        failed = 1
    if test["result"] == "OK" and passed + failed + skipped == 0:
        passed = 1
    return passed, failed, skipped


def main():
    total = [0, 0, 0]
    for name in sys.argv[1:]:
        try:
            with open(name, encoding="utf-8") as log:
                tests = [counts(json.loads(line)) for line in log]
        except FileNotFoundError:
            tests = [(0, 1, 0)]
        total = [sum(column) for column in zip(total, *tests)]
    print(f"{total[0]} passed, {total[1]} failed" + (f", {total[2]} skipped" if total[2] else ""))
    return total[1] != 0 or total[0] == 0


if __name__ == "__main__":
    sys.exit(main())
