"""The common oracle of hostile input: a daemon, innocent verified I/O on another LUN beside the cases, and what must hold.

A class of cases (tcp, login, pdu ...) runs in one world. After each case: every process is the one that it was. At the end of
the class, when all connections are closed:

  (a) no sanitizer report, no failed assertion, no process that died
  (b) the innocent session saw no error, lost no connection, and waited for no answer longer than STALL_S
  (c) descriptors and sessions are back; memory grew by less than the class may take
  (d) no connection caused more than one line of notice or worse (what is rate-limited: at most); every line is printable
      ASCII with a time, a level and a role: nothing that a peer chose stands in it unescaped
  (e) the reply of each case was among those that its row allows
"""
import bisect
import collections
import re
import statistics
import threading
import time

from harness import process, wait
from harness.daemon import TARGET
from harness.initiator import VerifyIo
from initiator import Initiator, read10

VICTIM = "iqn.2026-11.io.lunette:victim"
NOP_TARGET = "iqn.2026-11.io.lunette:pings"
STALL_S = 5.0       # times --slow; p99 is a figure to report, machines are noisy
BASELINE_S = 30.0   # by then everything that a case took is back
LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warning|notice|info|debug) [a-z0-9]+ [\x20-\x7e]*$")
PEER = re.compile(r" peer=(\S+)")
GOING = re.compile(r" (session ended|connection closed before login), closed by the peer")  # that is not what was wrong
LEFT_OUT = re.compile(r" left_out=(\d+)$")

# rows: of PROTOCOL.md section 1, separated by spaces. run(world) raises AssertionError when the reply is wrong.
# quiet: it may be without a line (what it does is not wrong by itself). lines: most lines that one connection may cause.
Case = collections.namedtuple("Case", "rows title run quiet lines soak", defaults=(True, 1, False))


class Probe(threading.Thread):
    """Small reads of the innocent LUN, one after the other, with their times."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.connection = Initiator(world, timeout_s=60, name="iqn.2026-11.io.lunette.test:probe").full(target=VICTIM)
        self.times, self.error, self.ending = [], None, threading.Event()

    def run(self):
        try:
            while not self.ending.wait(0.01):
                started = time.monotonic()
                outcome = self.connection.outcome_of(read10(0, 128), read=65536)
                assert outcome == "good", outcome
                self.times.append(time.monotonic() - started)
        except (OSError, AssertionError) as error:
            self.error = error

    def finish(self):
        self.ending.set()
        self.join(60)
        self.connection.close()
        assert self.error is None, f"the innocent session: {self.error}"
        return self.times


class World:
    """options: of Environment.daemon(); settings: PATCHed; memory_kib: how much a process may have grown at the end."""

    def __init__(self, env, settings=None, memory_kib=96 << 10, **options):
        self.env, self.slow = env, env.slow
        self.memory_kib = memory_kib * (2 if env.slow > 1 else 1)  # a sanitizer keeps what is freed, and finds leaks itself
        self.daemon = env.daemon(**options)
        self.daemon.rest.patch("/settings", {"login_timeout_s": 3, **(settings or {})})
        self.daemon.serve("vol", 8 << 20, store="memory")
        self.daemon.serve("other", 16 << 20, target=VICTIM, store="memory")
        self.roles = self.daemon.roles()
        self.connections = []
        self.opened_by = collections.defaultdict(list)  # address: [(log_end, case)]; ports come again
        self.case = None
        Initiator(self).full().logout()  # what is made once is made before the baseline
        self.descriptors = {role: process.descriptors(pid) for role, pid in self.roles.items()}
        self.memory = self.memory_now()
        self.log_start = self.log_end()
        self.innocent = VerifyIo(env, self.daemon.url(VICTIM), "--queue-depth", 4)
        self.probe = Probe(self)
        self.probe.start()

    def serve_pings(self):
        """NOP_TARGET, which asks with a NOP-In each second whether the initiator is still there."""
        self.daemon.rest.put(f"/targets/{NOP_TARGET}", {"params": {"nop_interval_s": 1, "nop_timeout_s": 1}})
        self.daemon.serve("ping", 1 << 20, target=NOP_TARGET, store="memory")

    def memory_now(self):
        return {role: process.memory_kib(pid) for role, pid in self.roles.items()}

    # ------------------------------------------------ for cases

    def connect(self, **options):
        """A connection on which nothing was said yet."""
        return Initiator(self, **options)

    def full(self, target=TARGET, **offers):
        """A session in full feature phase, unit attentions gone."""
        return Initiator(self).full(target=target, **offers)

    def log_end(self):
        return self.daemon.log_path.stat().st_size

    def opened(self, connection, log_end):
        """Every Initiator tells: lines of the log with its address are its, from where the log ended before it connected."""
        address = "%s:%d" % connection.socket.getsockname()[:2]
        self.connections.append(connection)
        if self.case:
            self.opened_by[address].append((log_end, self.case))

    def close_all(self):
        for connection in self.connections:
            if connection is not self.probe.connection:
                connection.close()
        self.connections = [self.probe.connection]

    # ------------------------------------------------ the oracle

    def run(self, case):
        self.case = case
        try:
            case.run(self)
        finally:
            self.case = None
            self.close_all()
        assert self.daemon.roles() == self.roles, f"a process died: {self.roles} -> {self.daemon.roles()}"

    def lines(self):
        """[(where in the log it begins, line)]"""
        with open(self.daemon.log_path, "rb") as log:
            at, found = log.seek(self.log_start), []
            for line in log.read().split(b"\n")[:-1]:
                found.append((at, line.decode("latin-1")))
                at += len(line) + 1
            return found

    def check_log(self):
        """(d), for all connections of the class."""
        count, left_out = collections.Counter(), 0
        for at, line in self.lines():
            assert LINE.match(line), f"a line of the log is not what lines are: {line!r}"
            found = PEER.search(line)
            left_out += int(LEFT_OUT.search(line)[1]) if LEFT_OUT.search(line) else 0
            if found and line.split(" ")[1] in ("error", "warning", "notice") and not GOING.search(line):
                connection = bisect.bisect_right(self.opened_by.get(found[1], ()), at, key=lambda opened: opened[0]) - 1
                count[found[1], connection] += 1
        silent = []
        for peer, opened in self.opened_by.items():
            for connection, (_, case) in enumerate(opened):
                lines = count[peer, connection]
                assert lines <= case.lines, f"{lines} lines about {case.rows} {case.title}"
                if not case.quiet and not lines:
                    silent.append(case)
        if len(silent) > left_out + 200:
            raise AssertionError(f"no line about {silent[0].rows} {silent[0].title}")
        return sum(count.values())

    def finish(self):
        """All that must hold at the end of a class; returns a sentence with the figures."""
        self.close_all()
        report, times = self.innocent.finish(), sorted(self.probe.finish())
        assert report["errors"] == 0 and report["reconnects"] == 0, f"the innocent session: {report}"
        gap_s = max(report["max_gap_ms"] / 1e3, times[-1])
        assert gap_s < STALL_S * self.slow, f"the innocent session waited for {gap_s:.1f} s"
        wait.until(lambda: self.daemon.rest.get("/sessions").json["items"] == [], "sessions are gone", BASELINE_S * self.slow)
        for role, pid in self.roles.items():
            wait.until(lambda p=pid, r=role: process.descriptors(p) <= self.descriptors[r] + 2,
                       f"descriptors of {role} are back ({self.descriptors[role]})", BASELINE_S * self.slow)
        grown = {role: now - self.memory[role] for role, now in self.memory_now().items()}
        assert all(kib < self.memory_kib for kib in grown.values()), f"memory grew by {grown} KiB"
        lines = self.check_log()
        assert self.daemon.roles() == self.roles, "a process died"
        assert self.daemon.sanitizer_report() is None, self.daemon.sanitizer_report()
        self.check_idle()
        p99 = times[int(len(times) * 0.99)] if times else 0
        return (f"innocent: {len(times)} reads, median {statistics.median(times) * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms, longest wait "
                f"{gap_s * 1e3:.0f} ms; memory {', '.join(f'{r} {k / 1024:+.1f} MiB' for r, k in grown.items())}; {lines} log lines")

    def check_idle(self):
        """Nothing spins when everybody has gone."""
        def used():
            return sum(process.cpu_s(pid) for pid in self.roles.values())
        for _ in range(5):
            before, started = used(), time.monotonic()
            self.probe.ending.wait(0)  # set: no sleep in the hope of anything, the second below is what is measured
            time.sleep(1)
            share = (used() - before) / (time.monotonic() - started)
            if share < 0.3:
                return
        raise AssertionError(f"idle, and {share:.0%} of a CPU is used")
