"""What one run of iscsi-test-cu means.

It counts a skipped test as passed and ends with status 0 for a test that does not exist; so the outcome is read from its own
summary: a [SKIPPED] line makes a test skipped, and a summary that does not speak of exactly one test makes it failed.
Before the first suite it asks the device this and that; what it says about the answers belongs to no test.
"""
import collections
import re

FAMILIES = ("SCSI", "iSCSI")
SUMMARY = re.compile(r"^ *(tests|asserts) +(\d+) +(\d+) +(\d+) +(\d+)", re.M)
SKIPPED = re.compile(r"\[SKIPPED\] *(.*)")
FAILURE = re.compile(r"(\[FAILED\][^\n]*|\S+\.c:\d+ +- +[^\n]*?)(?= +\[FAILED\]|\n|$)")  # stdout and stderr meet in one line

# kind: passed, failed, skipped; failures: failures() of a test that failed checks
Outcome = collections.namedtuple("Outcome", "kind reason failures", defaults=((),))


def names(listed, family):
    """The tests of a family in the output of `iscsi-test-cu --list`."""
    return [n for n in listed.split() if n.startswith(family + ".") and n.count(".") == 2]


def command(name, urls):
    """The words that run one test."""
    return ["iscsi-test-cu", "--dataloss", "--allow-sanitize", "-t", name, *urls]


def failures(text):
    """All that a test said about what failed: its reports ([FAILED] ...) and its failed checks (FILE.c:LINE - ...)."""
    return [f.strip() for f in FAILURE.findall(text, max(text.find("\nSuite: "), 0))]


def judge(text, status):
    """The outcome of one test from the output of its process."""
    numbers = {kind: tuple(map(int, rest)) for kind, *rest in SUMMARY.findall(text)}
    if status < 0:
        failed = failures(text)
        return Outcome("failed", "; ".join(dict.fromkeys([f"iscsi-test-cu was ended by signal {-status}", *failed])), failed)
    if numbers.get("tests", (0, 0))[:2] != (1, 1):
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return Outcome("failed", "the test did not run: " + (lines[-1] if lines else f"status {status}"))
    if numbers["tests"][3] or numbers.get("asserts", (0, 0, 0, 0))[3]:
        failed = failures(text)
        return Outcome("failed", "; ".join(dict.fromkeys(failed)) or "failed", failed)
    skipped = SKIPPED.search(text, max(text.find("\nSuite: "), 0))
    if skipped:
        return Outcome("skipped", skipped.group(1).strip() or "no reason given")
    if status != 0:
        return Outcome("failed", f"exit status {status} though no check failed")
    return Outcome("passed", "")
