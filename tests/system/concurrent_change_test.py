"""Everything at once on several reactors: verified I/O, sessions that write while others reset their LUN, and the
configuration changing under them. For the thread sanitizer most of all; without it, nothing may go wrong all the same."""
import contextlib
import itertools
import threading
import time

from harness import iscsi
from harness.daemon import TARGET
from harness.initiator import VerifyIo, qemu_io, random_patterns
from harness.iscsi import Connection
from harness.registry import test

ROUGH = "iqn.2026-11.io.lunette:rough"
WRITE10, LU_RESET, ABORT_SET, WARM_RESET = 0x2A, 5, 2, 6
RUN_S = 6


class Busy:
    """Threads that repeat something until they are told to stop; what goes wrong in one fails the test."""

    def __init__(self):
        self.stop, self.threads, self.wrong = threading.Event(), [], []

    def repeat(self, action):
        def run():
            try:
                for number in itertools.count():
                    if self.stop.is_set():
                        return
                    action(number)
            except Exception as error:  # noqa: BLE001 (it is shown by finish())
                self.wrong.append(repr(error))
        self.threads.append(threading.Thread(target=run, daemon=True))
        self.threads[-1].start()

    def finish(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(60)
        assert not self.wrong, self.wrong


def write_and_be_reset(daemon, isid):
    """One session: eight writes, or as many as survive the resets of the others, then it goes without a word."""
    connection = Connection(daemon, timeout_s=5).login(target=ROUGH, isid=isid)
    connection.socket.settimeout(0.2)
    with contextlib.suppress(OSError):
        for n in range(8):
            connection.command([WRITE10, 0, 0, 0, 0, n, 0, 0, 1, 0], 0xA0, 512, lun=n % 2, data=b"w" * 512)
        for _ in range(8):
            connection.answer()
    connection.close()


def reset_it(daemon, number, isid):
    connection = Connection(daemon, timeout_s=20).login(target=ROUGH, isid=isid)
    for function in (LU_RESET, ABORT_SET, WARM_RESET if number % 4 == 0 else LU_RESET):
        connection.pdu(0x40 | iscsi.TMF, 0x80 | function, lun=number % 2, itt=500 + function,
                       words=(iscsi.NONE, connection.cmd_sn, 1, 0))
        assert connection.receive().opcode == iscsi.TMF_RESPONSE
    connection.close()


def change_it(daemon, number):
    """The LUN of the rough target comes and goes, sessions are told; parameters of both targets change."""
    daemon.rest.put(f"/targets/{ROUGH}/luns/1", {"lun": "extra"})
    daemon.rest.patch("/settings", {"login_timeout_s": 5 + number % 5})
    daemon.rest.delete(f"/targets/{ROUGH}/luns/1")


@test(timeout_s=60)
def resets_and_changes_run_beside_verified_io(env):
    daemon = env.daemon(reactors=3)
    url = daemon.serve("calm", 16 << 20, store="memory")
    daemon.serve("rough", 16 << 20, target=ROUGH, store="memory")
    daemon.rest.put("/luns/extra", {"size_bytes": 1 << 20})
    roles = daemon.roles()
    verified = [VerifyIo(env, url if n == 0 else daemon.serve(f"calm{n}", 16 << 20, number=n), "--queue-depth", 8)
                for n in range(3)]
    busy = Busy()
    for n in range(3):
        busy.repeat(lambda number, n=n: write_and_be_reset(daemon, bytes((0x80, 0, 0, 1, n, number % 3))))
    for n in range(2):
        busy.repeat(lambda number, n=n: reset_it(daemon, number, bytes((0x80, 0, 0, 2, n, 0))))
    busy.repeat(lambda number: change_it(daemon, number))
    busy.repeat(lambda _: daemon.rest.get("/sessions"))
    time.sleep(RUN_S)  # how long it runs, not a wait for something
    busy.finish()
    for running in verified:
        report = running.finish()
        assert report["errors"] == 0 and report["reconnects"] == 0, report
    assert daemon.roles() == roles, "a process died"
    Connection(daemon).login(target=ROUGH).clear_attentions().close()


@test(timeout_s=120)
def qemu_and_conformance_tests_run_beside_each_other_on_three_reactors(env):
    env.need("qemu-io", "iscsi-test-cu")
    daemon = env.daemon(reactors=3)
    calm = daemon.serve("calm", 16 << 20, store="memory")
    rough = daemon.serve("rough", 16 << 20, target=ROUGH, store="memory")
    busy = Busy()
    busy.repeat(lambda number: qemu_io(env, calm, random_patterns(number, 16 << 20, 512, 100), timeout_s=60))
    busy.repeat(lambda number: daemon.rest.patch(f"/targets/{TARGET}", {"alias": f"a{number}"}))
    for tests in ("SCSI.Read10", "SCSI.Write10", "SCSI.CompareAndWrite", "iSCSI.iSCSITMF", "SCSI.Reserve6"):
        env.run("iscsi-test-cu", "--dataloss", "--test", tests, rough, check=False, timeout_s=60)
    busy.finish()
    assert daemon.rest_answers()
