"""The common oracle of tests with wrong input: an innocent session beside it."""
import contextlib

from . import process, wait
from .initiator import VerifyIo

VICTIM = "iqn.2026-11.io.lunette:victim"


@contextlib.contextmanager
def innocent(env, **options):
    """A daemon with two targets, verified I/O on one of them; checks afterwards that nothing leaked and nobody died."""
    daemon = env.daemon(**options)
    daemon.rest.patch("/settings", {"login_timeout_s": 2})
    daemon.serve("vol", 8 << 20, store="memory")
    running = VerifyIo(env, daemon.serve("other", 16 << 20, target=VICTIM, store="memory"), "--queue-depth", 4)
    roles = daemon.roles()
    files = process.descriptors(roles["worker0"])
    yield daemon
    report = running.finish()
    assert report["errors"] == 0 and report["reconnects"] == 0, report
    assert daemon.roles() == roles, "a process died"
    wait.until(lambda: process.descriptors(roles["worker0"]) <= files, "descriptors are back", 15 * env.slow)
    wait.until(lambda: daemon.rest.get("/sessions").json["items"] == [], "sessions are gone", 15 * env.slow)
