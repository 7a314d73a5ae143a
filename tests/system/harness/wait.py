"""Waiting for conditions, with deadlines. Nothing here or elsewhere sleeps in the hope that something has happened."""
import time

POLL_S = 0.005


class Late(Exception):
    """A condition did not hold in time."""


def until(condition, what, timeout_s=10.0):
    """Polls condition() until it is true; returns its value. Late when it is not within timeout_s."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise Late(f"not within {timeout_s} s: {what}")
        time.sleep(POLL_S)
