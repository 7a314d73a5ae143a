"""Runs one test after the other: time limits, what sanitizers said, what is shown of a failure, the total."""
import signal
import sys
import time
import traceback

from . import registry

LOG_SHOWN = 6000
CLEANING_S = 90


class TimedOut(Exception):
    """The test took longer than it may."""


def alarm(_number, _frame):
    raise TimedOut


def prepare():
    """SIGALRM ends a test; SIGTERM ends us, and what was started is ended on the way out."""
    signal.signal(signal.SIGALRM, alarm)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def limited(test, env):
    """Runs the test in its time, and its cleaning up in a minute."""
    signal.alarm(int(test.timeout_s * env.slow))
    try:
        test(env)
        signal.alarm(0)
    finally:
        signal.alarm(CLEANING_S)
        env.close()
        signal.alarm(0)


def run_one(test, env, keep):
    """Returns "passed", "failed" or "skipped", having printed one line, or more about a failure."""
    started = time.monotonic()
    try:
        limited(test, env)
        if env.reports():
            raise AssertionError(f"in the log: {env.reports()[0]}")
        outcome = "passed"
    except registry.Skip as skip:
        print(f"SKIPPED {test.title}: {skip}", flush=True)
        env.remove()
        return "skipped"
    except TimedOut:
        print(f"{test.title}: not finished in {test.timeout_s * env.slow} s")
        traceback.print_exc(limit=-4, file=sys.stdout)
        outcome = "failed"
    except Exception:  # whatever a test raises is its failure, not ours
        traceback.print_exc(limit=-6, file=sys.stdout)
        outcome = "failed"
    notes = "".join(f"\n        {note}" for note in env.notes)
    if outcome == "failed":
        for name, text in env.logs():
            print(f"--- {name}, its end:\n{text[-LOG_SHOWN:]}\n---")
    print(f"{outcome:7} {test.title} ({time.monotonic() - started:.1f} s){notes}", flush=True)
    if outcome == "passed" or not keep:
        env.remove()
    return outcome


def total(suite, outcomes):
    """Prints the suite's last line; returns its exit status."""
    print(f"{suite}: {outcomes.count('passed')} passed, {outcomes.count('failed')} failed, "
          f"{outcomes.count('skipped')} skipped", flush=True)
    return 0 if "failed" not in outcomes else 1
