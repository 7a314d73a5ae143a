"""Nothing lost: several initiators on the same blocks through two portals, faults meanwhile, and a checker of the whole
history (history.py). A command without an answer may have happened, until its session is replaced."""
import itertools
import random
import signal
import struct
import subprocess
import time

import history
from harness import process, wait
from harness.initiator import VerifyIo
from harness.registry import test
from harness.wire import Watch

REGION_BLOCKS = 48
BLOCK_LIMIT_S = 25  # how long a fault may keep everybody from working (I15)


class Crowd:
    """Initiators with a history each, two for each portal."""

    def __init__(self, env, daemon, url, count=3, options=()):
        self.env, self.files, self.watches = env, [], []
        portals = [*daemon.portals, *daemon.more_portals]
        self.running = []
        for n in range(1, count + 1):
            watch = Watch(daemon, n % len(portals))
            file = env.scratch / f"history{n}"
            self.watches.append(watch)
            self.files.append(file)
            self.running.append(VerifyIo(
                env, watch.through(url), "--writer", n, "--history", file, "--region-blocks", REGION_BLOCKS,
                "--queue-depth", 6, "--extent-blocks", 4, "--read-percent", 60, "--reconnect-timeout-ms",
                int(60000 * env.slow), *options))

    def working(self, since=None):
        """Waits until each of them has done something (since: a value of moments() that must be over)."""
        since = since or [0] * len(self.files)
        wait.until(lambda: all(file.stat().st_size > size + 2000 for file, size in zip(self.files, since)),
                   "everybody works", BLOCK_LIMIT_S * self.env.slow)

    def moments(self):
        return [file.stat().st_size for file in self.files]

    def finish(self):
        """Ends them; checks the history and the wire; the reports."""
        reports = [one.finish(120) for one in self.running]
        wrong = [w for watch in self.watches for w in watch.finish()]
        assert not wrong, "\n".join(wrong[:10])
        lines = [line for file in self.files for line in file.read_text().splitlines()]
        verdict = history.judge(lines)
        assert not verdict, "\n".join(verdict[:10])
        self.env.note(f"{len(lines)} commands and {sum(w.pdus for w in self.watches)} PDUs of {len(reports)} initiators, "
                      f"{sum(r['reconnects'] for r in reports)} reconnects: linearizable, within the laws of the wire")
        return reports


def two_portals(env, store=None, size_bytes=16 << 20, **options):
    """(daemon, url) of a LUN behind two portal groups. store: parameters of a fault store around a file store."""
    env.scratch.chmod(0o711)  # the daemon's user passes through to its store
    daemon = env.daemon(**options)
    daemon.rest.patch("/settings", {"login_timeout_s": 5})
    second = f"127.0.0.1:{process.free_port()}"
    daemon.rest.put("/portals/second", {"address": second, "tag": 2})
    daemon.more_portals.append(second)
    lun = {}
    if store is not None:
        daemon.rest.put("/stores/faulty", {"kind": "fault", "params": {
            "inner": {"kind": "file", "params": {"path": str(daemon.state / "objects")}}, "rules": store}})
        lun = {"store": "faulty"}
    return daemon, daemon.serve("vol", size_bytes, target_body={"portals": ["default", "second"]}, **lun)


def kill(daemon, role, dice):
    old = daemon.kill(role)
    daemon.wait_for_new(role, old, 30)


def pause(daemon, role, dice):
    pid = daemon.kill(role, signal.SIGSTOP)
    resume = time.monotonic() + dice.uniform(0.05, 1.0)
    wait.until(lambda: time.monotonic() >= resume, "the end of the pause")
    daemon.kill(role, signal.SIGCONT)
    assert daemon.roles().get(role) == pid


FAULTS = [(kill, "worker0"), (kill, "control"), (pause, "worker0"), (pause, "control")]


def torment(env, rounds, seed):
    """Faults in a random order, at random moments, each when everybody has recovered from the one before."""
    daemon, url = two_portals(env, reactors=2)
    crowd = Crowd(env, daemon, url)
    dice = random.Random(seed)
    for fault, role in itertools.islice(itertools.cycle(dice.sample(FAULTS, len(FAULTS))), rounds):
        crowd.working(crowd.moments())
        fault(daemon, role, dice)
    crowd.working(crowd.moments())
    return crowd.finish()


@test(quick=True, timeout_s=120)
def kills_and_pauses_of_worker_and_control_lose_nothing(env):
    reports = torment(env, 4, 1)
    assert all(r["errors"] == 0 for r in reports), reports
    assert sum(r["reconnects"] for r in reports) >= 3, "the kill of the worker cost everybody a reconnect"


@test(timeout_s=600, nightly=True)
def sixty_faults_in_a_row_lose_nothing(env):
    seed = int(time.time())
    env.note(f"seed {seed}")
    torment(env, 60, seed)


@test(timeout_s=120)
def errors_of_the_store_are_told_and_lose_nothing(env):
    """A write that fails may have happened; every other is there. EIO is a medium error, never GOOD."""
    rules = [{"op": "write", "nth": 50, "count": 3, "error": "EIO"}, {"op": "write", "nth": 200, "count": 20, "error": "EIO"},
             {"op": "read", "nth": 100, "count": 10, "error": "EIO"}, {"op": "flush", "nth": 2, "error": "EIO"},
             {"op": "write", "nth": 400, "count": 40, "delay_ms": 30}, {"op": "write", "nth": 600, "count": 20,
                                                                      "delay_ms": 40, "stall": True}]
    daemon, url = two_portals(env, store=rules)
    crowd = Crowd(env, daemon, url)
    for _ in range(10):
        crowd.working(crowd.moments())
    reports = crowd.finish()
    assert 20 < sum(r["errors"] for r in reports) <= 40, reports
    assert sum(r["reconnects"] for r in reports) == 0, reports


@test(timeout_s=120)
def a_completion_that_is_lost_lets_no_later_session_in_before_the_worker_is_gone(env):
    """I5: a write hangs in the store for ever. The initiator gives up; its new login must wait for the old write, and gets
    in only when the worker that has it is dead."""
    daemon, url = two_portals(env, store=[{"op": "write", "nth": 300, "hold": True}])
    crowd = Crowd(env, daemon, url, count=2, options=("--command-timeout-s", 3))
    wait.until(lambda: any(len(watch.links) > 2 and one.reconnects == 0 for watch, one in zip(crowd.watches, crowd.running)),
               "somebody tries again and again, and is not let in", 40 * env.slow)
    kill(daemon, "worker0", None)
    crowd.working(crowd.moments())
    crowd.finish()


@test(timeout_s=120)
def a_controlled_stop_and_start_lose_nothing(env):
    daemon, url = two_portals(env, workers=2)
    crowd = Crowd(env, daemon, url)
    for _ in range(2):
        crowd.working(crowd.moments())
        daemon.restart()
    crowd.working(crowd.moments())
    crowd.finish()


# ------------------------------------------------ a full disk

def small_disk(env, size_bytes):
    """A file system of this size; unmounted when the test ends."""
    path = env.scratch / "small"
    path.mkdir()
    env.scratch.chmod(0o711)  # the daemon's user passes through
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=0777", "lunette-test", str(path)],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        env.skip(f"a small file system cannot be mounted: {done.stderr.strip()}")
    return path


@test(quick=True, timeout_s=120)
def a_full_disk_is_told_and_what_was_acknowledged_stays(env):
    """Thin LUNs on a disk that is too small: 27h/07, nothing lost, and UNMAP makes room again."""
    from harness.host import Host
    daemon = env.daemon()
    path = small_disk(env, 8 << 20)
    try:
        daemon.rest.put("/stores/small", {"kind": "file", "params": {"path": str(path)}})
        daemon.serve("vol", 64 << 20, store="small")
        with Host(daemon, "writer") as host:
            good, answer = [], None
            for n in range(64 << 20 >> 13):
                answer = host.write(n * 16, n % 251, 16)
                if answer.status:
                    break
                good.append(n)
            assert (answer.status, answer.key, answer.asc) == (2, 7, 0x2707), answer
            env.note(f"full after {len(good) * 8} KiB of an 8192 KiB disk")
            assert len(good) > 500, len(good)
            refused = [n for n in range(len(good) + 1, len(good) + 40) if host.write(n * 16, 1, 16).status == 2]
            assert len(refused) >= 30, refused
            for n in good:
                assert host.read(n * 16, 16).data == bytes([n % 251]) * 8192, n
            assert host.write(0, 7, 16).status == 0, "what is allocated can be written"
            gone = struct.pack(">HHIQII", 22, 16, 0, 16 * 64, 16 * 128, 0)  # of the good ones, 64 to 191
            assert host.do([0x42, 0, 0, 0, 0, 0, 0, 0, len(gone), 0], gone).status == 0
            assert host.write((len(good) + 100) * 16, 9, 16).status == 0, "room again"
        daemon.crash()
        daemon.start()
        with Host(daemon, "writer") as host:
            for n in good[1:64] + good[192:]:
                assert host.read(n * 16, 16).data == bytes([n % 251]) * 8192, n
            assert host.read((len(good) + 100) * 16, 16).data == b"\x09" * 8192
        daemon.stop()
    finally:
        subprocess.run(["umount", "-l", str(path)], check=False)


# ------------------------------------------------ the checker itself

def judge(*lines):
    return bool(history.judge(lines))


@test(quick=True)
def the_history_checker_knows_right_from_wrong(_env):
    write, later = "W 10 20 5 1 1", "W 30 40 5 1 2"
    assert not judge(write, later, "R 50 60 5 2", "R 15 18 5 0", "R 15 18 5 1")
    assert judge(write, later, "R 50 60 5 1"), "an older value after a newer was acknowledged"
    assert judge(write, "R 50 60 5 0"), "a lost write"
    assert judge(write, "R 1 5 5 1"), "read before it was written"
    assert judge(write, "R 50 60 5 9"), "nobody wrote it"
    assert not judge(write, "M 30 40 5 1 2", "R 50 60 5 1") and not judge(write, "M 30 40 5 1 2", "R 50 60 5 2")
    assert judge("W 10 20 5 1 1", "M 12 40 5 1 2", "W 50 60 5 1 3", "R 70 80 5 2"), "a ghost write: its session was gone at 40"
    assert not judge("W 10 20 5 1 1", f"M 12 {history.NEVER} 5 1 2", "W 50 60 5 1 3", "R 70 80 5 2")
    assert judge(write, "M 30 200 5 1 2", "R 50 60 5 2", "R 70 80 5 1"), "seen, and gone again"
    assert judge("W 10 20 5 2 1", "W 12 18 5 1 2", "R 30 31 5 1", "R 32 33 5 2"), "two values in turn"


def explains(ops, left, value):
    """Whether some order of the commands explains a block's history: by trying all of them."""
    if not left:
        return True
    soonest = min(ops[i][2] for i in left)
    return any(explains(ops, left - {i}, value if ops[i][0] == "R" else ops[i][3]) for i in left
               if ops[i][1] <= soonest and (ops[i][0] != "R" or ops[i][3] == value))


@test(quick=True)
def the_history_checker_agrees_with_trying_all_orders(_env):
    dice, found = random.Random(5), [0, 0]
    for _ in range(2000):
        times, ops, values = dice.sample(range(1, 40), 12), [], 0
        for n in range(dice.randint(2, 6)):
            began, ended = sorted(times[2 * n:2 * n + 2])
            kind = dice.choice("WWRRRM")
            values += kind != "R"
            ops.append((kind, began, dice.choice((ended, history.NEVER)) if kind == "M" else ended, values))
        ops = [op if op[0] != "R" else (*op[:3], dice.randint(0, values)) for op in ops]
        lines = [f"R {a} {b} 7 {v}" if k == "R" else f"{k} {a} {b} 7 1 {v}" for k, a, b, v in ops]
        maybe = [i for i, op in enumerate(ops) if op[0] == "M"]
        right = any(explains(ops, frozenset(range(len(ops))) - set(gone), 0)
                    for n in range(len(maybe) + 1) for gone in itertools.combinations(maybe, n))
        found[right] += 1
        assert right == (not history.judge(lines)), lines
    assert min(found) > 300, found
