"""I10, I13, I16: a LUN is the same on every path and after every restart; no byte of one LUN appears in another; and when a
storm is over, everything has been given back."""
import struct

from harness import process, wait
from harness.host import Host
from harness.registry import test

OTHER_TARGET = "iqn.2026-11.io.lunette:t2"
PAGES = (0x80, 0x83, 0xB0, 0xB1, 0xB2)
ASSOCIATION_LU = 0


def connected(daemon, who, **path):
    """A session; while a worker starts, the login is tried again as initiators do."""
    def attempt():
        try:
            return Host(daemon, who, **path)
        except ConnectionError:
            return None
    return wait.until(attempt, f"a login of {who}", 20 * daemon.slow)


def designators(page):
    """Those of VPD page 83h that belong to the logical unit."""
    at, found = 4, []
    while at < len(page):
        length = page[at + 3]
        if page[at + 1] >> 4 & 3 == ASSOCIATION_LU:
            found.append(page[at:at + 4 + length].hex())
        at += 4 + length
    return found


def identity(host):
    """What must never change, as a dictionary."""
    shown = {}
    for page in PAGES:
        data = host.do([0x12, 1, page, 4, 0, 0], in_bytes=1024).data
        shown[f"{page:02x}"] = designators(data) if page == 0x83 else data.hex()
    shown["capacity"] = host.do([0x9E, 0x10] + [0] * 11 + [32, 0, 0], in_bytes=32).data.hex()
    shown["commands"] = host.do([0xA3, 0x0C, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0], in_bytes=65535).data.hex()
    return shown


@test(quick=True)
def a_lun_is_the_same_on_every_path_and_after_every_restart(env):
    daemon = env.daemon(workers=2)
    second = f"127.0.0.1:{process.free_port()}"
    daemon.rest.put("/portals/second", {"address": second, "tag": 2})
    daemon.more_portals.append(second)
    daemon.serve("vol", 16 << 20, target_body={"portals": ["default", "second"]})
    daemon.serve("vol", 16 << 20, target=OTHER_TARGET, number=5)
    paths = [{"portal": 0}, {"portal": 1}, {"target": OTHER_TARGET, "lun": 5}]

    def everywhere():
        shown, ports = [], []
        for n, path in enumerate(paths):
            with connected(daemon, f"h{n}", **path) as host:
                shown.append(identity(host))
                ports.append(host.relative_port())
        assert shown[0] == shown[1] == shown[2], shown
        assert len(set(ports)) == len(ports), f"relative target ports {ports} are not unique"
        return shown[0], ports

    first = everywhere()
    assert first[0]["83"], "no designators"
    daemon.crash()
    daemon.start()
    assert everywhere() == first, "after a crash"
    old = daemon.kill("worker0")
    daemon.wait_for_new("worker0", old)
    assert everywhere() == first, "after the death of a worker"


@test(quick=True, timeout_s=120)
def no_byte_of_one_lun_appears_in_another(env):
    """LUNs that come, go and are made again by the same name in a file or in memory, each filled with its own mark; what nobody has
    written reads as zeroes."""
    daemon = env.daemon()
    daemon.serve("keep", 4 << 20, number=0)
    with Host(daemon, "h", lun=0) as host:
        for lba in range(0, 8192, 512):
            assert host.write(lba, 0xA0, 16).status == 0
    for generation in range(4):
        daemon.serve("churn", (2 + generation) << 20, number=1, store=("default", "memory")[generation % 2])
        with Host(daemon, "h", lun=1) as host:
            last = ((2 + generation) << 11) - 16
            for lba in (*range(0, last, 256), last):
                assert host.read(lba, 16).data == bytes(8192), f"generation {generation}, block {lba}: not new"
                assert host.write(lba, 0xB0 + generation, 16).status == 0
        daemon.rest.delete("/targets/iqn.2026-11.io.lunette%3At1/luns/1")
        daemon.rest.delete("/luns/churn")
    with Host(daemon, "h", lun=0) as host:
        for lba in range(0, 8192, 512):
            assert host.read(lba, 16).data == b"\xa0" * 8192, lba


@test(quick=True, timeout_s=120)
def after_a_storm_of_broken_sessions_everything_is_given_back(env):
    """I16: sessions that end in every unfriendly way, with writes under way; descriptors, sessions and memory come back."""
    daemon = env.daemon(reactors=2)
    daemon.serve("vol", 16 << 20)
    worker = daemon.roles()["worker0"]

    def storm(rounds):
        for n in range(rounds):
            host = Host(daemon, f"h{n % 7}")
            for lba in range(20):
                host.send(struct.pack(">BBIBHB", 0x2A, 0, lba, 0, 16, 0), bytes(8192))
            if n % 3 == 0:
                host.connection.send_bytes(b"\x01" * 20)  # half a header
            if n % 3 == 1:
                host.connection.socket.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER 0: a reset
            host.close()
        wait.until(lambda: daemon.rest.get("/sessions").json["items"] == [], "sessions are gone", 30 * env.slow)

    storm(60)
    files, memory = process.descriptors(worker), process.memory_kib(worker)
    storm(180)
    wait.until(lambda: process.descriptors(worker) <= files, "descriptors are back", 30 * env.slow)
    grown = process.memory_kib(worker) - memory
    env.note(f"{files} descriptors before and after 180 broken sessions, memory grew by {grown} KiB")
    assert grown < 2048 * env.slow, grown
    assert daemon.roles()["worker0"] == worker
