"""I8, I11, I12: counters kept by COMPARE AND WRITE lose no increment; an old write fills no hole again; a change of the
configuration is there when it was acknowledged, and there or not there at all when it was not."""
import concurrent.futures
import http.client
import random
import struct
import threading

from harness import process, wait
from harness.host import CHECK_CONDITION, GOOD, Host
from harness.registry import test

BLOCK, MISCOMPARE = 512, 0xE
COUNTERS, INCREMENTS, PATHS = (0, 7), 60, 4


def compare_and_write(host, lba, old, new):
    return host.do(struct.pack(">BBQBBBBBB", 0x89, 0, lba, 0, 0, 0, 1, 0, 0), old + new)


def count(daemon, number):
    """Increments both counters, over and over, until it has succeeded often enough; how often somebody was quicker."""
    quicker = 0
    with Host(daemon, f"h{number}", portal=number % 2) as host:
        for lba in COUNTERS * INCREMENTS:
            while True:
                old = host.read(lba).data
                words = set(struct.unpack(">64Q", old))
                assert len(words) == 1, f"a torn block: {words}"
                answer = compare_and_write(host, lba, old, struct.pack(">Q", words.pop() + 1) * 64)
                if answer.status == GOOD:
                    break
                assert answer.status == CHECK_CONDITION and answer.key == MISCOMPARE, answer
                quicker += 1
    return quicker


@test(quick=True, timeout_s=120)
def counters_kept_by_compare_and_write_lose_no_increment(env):
    """I8, and I4 for blocks: hosts through two portals on two reactors."""
    daemon = env.daemon(reactors=2)
    second = f"127.0.0.1:{process.free_port()}"
    daemon.rest.put("/portals/second", {"address": second, "tag": 2})
    daemon.more_portals.append(second)
    daemon.serve("vol", 8 << 20, target_body={"portals": ["default", "second"]})
    with concurrent.futures.ThreadPoolExecutor(PATHS) as pool:
        quicker = list(pool.map(lambda n: count(daemon, n), range(PATHS)))
    env.note(f"{PATHS * INCREMENTS * len(COUNTERS)} increments, {sum(quicker)} miscompares")
    assert sum(quicker), "they never met: nothing was shown"
    with Host(daemon, "reader") as host:
        for lba in COUNTERS:
            assert struct.unpack_from(">Q", host.read(lba).data)[0] == PATHS * INCREMENTS, lba


# ------------------------------------------------------------ the configuration

class Admin:
    """Makes, grows and deletes LUNs one after the other. What it was told, by name: a size, None for deleted; and names of which
    it was not told how the last change ended: both possible states."""

    NAMES = [f"vol{n}" for n in range(6)]

    def __init__(self, daemon, seed):
        self.daemon, self.dice = daemon, random.Random(seed)
        self.told, self.maybe = dict.fromkeys(self.NAMES), {}
        self.changes = self.unknown = 0
        self.stop = threading.Event()

    def change(self, name):
        """One change of a LUN whose state is known."""
        old = self.told[name]
        new = (old or 0) + (1 << 20) if old is None or self.dice.random() < 0.5 else None
        self.maybe[name] = {old, new}
        method, body = ("DELETE", None) if new is None else ("PUT", {"size_bytes": new})
        headers = {"If-None-Match" if old is None else "If-Match": "*"}
        self.daemon.rest.call(method, f"/luns/{name}", body, headers=headers)
        self.told[name] = new
        del self.maybe[name]
        self.changes += 1

    def look(self, name):
        """What became of the change whose answer never came: one of the two, and then for good."""
        answer = self.daemon.rest.get(f"/luns/{name}", expect=(200, 404))
        now = answer.json["size_bytes"] if answer.status == 200 else None
        assert now in self.maybe[name], f"{name} is {now}, which is neither of {self.maybe[name]}"
        self.told[name] = now
        del self.maybe[name]
        self.unknown += 1

    def work(self):
        while not self.stop.is_set():
            name = self.dice.choice(self.NAMES)
            try:
                if name in self.maybe:
                    self.look(name)
                self.change(name)
            except (OSError, http.client.HTTPException):  # nobody answered, or not to the end
                self.stop.wait(0.02)


@test(quick=True, timeout_s=120)
def what_rest_acknowledged_is_there_whatever_dies(env):
    daemon = env.daemon()
    admin = Admin(daemon, 1)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        work = pool.submit(admin.work)
        try:
            for number in range(6):
                before = admin.changes
                wait.until(lambda before=before: admin.changes > before + 5 or work.done(), "some changes", 30 * env.slow)
                if number % 2:
                    daemon.crash()
                    daemon.start()
                else:
                    old = daemon.kill("control")
                    daemon.wait_for_new("control", old)
                wait.until(daemon.rest_answers, "REST answers again", 10 * env.slow)
        finally:
            admin.stop.set()
        work.result(60)
    for name in list(admin.maybe):
        admin.look(name)
    luns = daemon.rest.get("/luns").json["items"]
    assert {lun["name"]: lun["size_bytes"] for lun in luns} == {name: size for name, size in admin.told.items() if size}
    assert len({lun["id"] for lun in luns}) == len(luns), "two names for one LUN"
    env.note(f"{admin.changes} changes acknowledged, {admin.unknown} found out afterwards")
