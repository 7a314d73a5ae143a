"""Connections (B001 to B013): silence, floods, resets, readers that stop, limits."""
import contextlib
import random
import resource
import socket
import time

import iscsi_pdu as p
from harness import process, wait
from harness.daemon import TARGET
from initiator import NAME, NO_R2T, TUR, Initiator, expect, read10, write10
from world import NOP_TARGET, VICTIM, Case

CLASS = "tcp"
LOGIN_TIMEOUT_S, GAP_S, STALL_S = 3, 15, 30  # settings/login_timeout_s, ISCSI_GAP_S, ISCSI_WRITE_STALL_S
PER_ADDRESS = 100
FEW_FILES = 300


def make(world_class, env):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    world = world_class(env, {"max_connections_per_address": PER_ADDRESS}, memory_kib=320 << 10,
                        reactors=2)  # the buffers of both, touched
    world.serve_pings()
    return world


def strange(data):
    """B009: what is no login is closed, whatever of it has come."""
    def run(world):
        connection = world.connect()
        connection.send_or_closed(data)
        expect(connection.outcome(), "close", "opcode:23")
    return run


STRANGE = [
    ("TLS ClientHello", b"\x16\x03\x01\x02\x00\x01" + bytes(300)), ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".ljust(2048)),
    ("SSH banner", b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n".ljust(2048)), ("4 KiB of chance", random.Random(9).randbytes(4096)),
    ("zeros", bytes(48)), ("all ones", b"\xff" * 4096), ("SMB", b"\0\0\0\x85\xffSMBr".ljust(200, b"\0")),
    ("RDP", b"\x03\0\0\x13\x0e\xe0".ljust(60, b"\0")), ("NVMe/TCP ICReq", b"\0\0\x80\0\x80\0\0\0".ljust(128, b"\0")),
]


class Deadline:
    """A connection that does something until it is closed; when."""

    def __init__(self, title, connection, earliest_s, latest_s, feed=b""):
        self.title, self.connection, self.earliest_s, self.latest_s = title, connection, earliest_s, latest_s
        self.feed, self.closed_s = feed, None

    def step(self, started):
        self.connection.socket.setblocking(False)
        try:
            if self.feed:
                self.connection.socket.send(self.feed[:1])
                self.feed = self.feed[1:] or self.feed
            if self.title.startswith("stops reading"):  # to read would be to go on; the end of the socket is seen without
                with open("/proc/net/tcp", encoding="ascii") as table:
                    port = f":{self.connection.socket.getsockname()[1]:04X} "
                    if not any(port in line and f" {line.split()[3]} " == " 01 " for line in table):
                        self.closed_s = time.monotonic() - started
                return
            if self.connection.socket.recv(65536) == b"":
                self.closed_s = time.monotonic() - started
        except BlockingIOError:
            pass
        except ConnectionError:
            self.closed_s = time.monotonic() - started


def deadlines(world):
    """B001, B002, B004, B060: all that ends by time, at the same time."""
    header = bytes([0x43, 0x87]) + bytes(46)
    hole = world.full()
    hole.send(hole.command_pdu(TUR, cmdsn=hole.cmdsn + 1))
    stopped = world.connect(receive_buffer=4096)
    stopped.full()
    for _ in range(100):
        stopped.send_or_closed(stopped.command_pdu(read10(0, 1024), read=524288))
    watched = [
        Deadline("silent", world.connect(), LOGIN_TIMEOUT_S, LOGIN_TIMEOUT_S + 2),
        Deadline("slow login", world.connect(), LOGIN_TIMEOUT_S, LOGIN_TIMEOUT_S + 2, feed=header),
        Deadline("a CmdSN that never comes", hole, GAP_S, GAP_S + 3),
        Deadline("stops reading", stopped, STALL_S, STALL_S + 5),
    ]
    started = time.monotonic()
    while [d for d in watched if d.closed_s is None] and time.monotonic() - started < STALL_S + 5 * world.slow + 5:
        for deadline in watched:
            if deadline.closed_s is None:
                deadline.step(started)
        time.sleep(0.1)
    for d in watched:
        assert d.closed_s is not None, f"{d.title}: never closed"
        assert d.earliest_s - 1.5 < d.closed_s < d.latest_s + 2 * world.slow, f"{d.title}: closed after {d.closed_s:.1f} s"


def half_close(world):
    """B006: FIN behind a SCSI Command whose data is to come."""
    for _ in range(20):
        connection = world.full(**NO_R2T)
        connection.command(write10(0, 8), write=4096)
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.outcome() in ("r2t", "close")
        assert connection.outcome() == "close"


def resets(step):
    """B005: a RST behind each byte (each step-th) of a login and a write."""
    def run(world):
        template = Initiator(world)
        text = p.pairs(InitiatorName=NAME, TargetName=TARGET, SessionType="Normal")
        login = template.login_pdu(p.OPERATIONAL, p.FULL_FEATURE, text).encode()
        template.cmdsn = 1
        whole = login + template.command_pdu(write10(0, 8), data=b"\x66" * 4096).encode()
        for at in range(0, len(whole), step):
            connection = Initiator(world)
            connection.send_bytes(whole[:min(at, len(login))])
            if at > len(login):
                connection.receive()
                connection.send_bytes(whole[len(login):at])
            connection.reset()
            world.connections.pop()
    return run


def churn(seconds):
    """B010: connect, login, close, as fast as it goes."""
    def run(world):
        ends, count = time.monotonic() + seconds, 0
        while time.monotonic() < ends:
            connection = Initiator(world, address="127.0.0.2")
            assert connection.login(NAME, TARGET).status == 0
            (connection.reset if count % 2 else connection.close)()
            world.connections.pop()
            count += 1
        world.env.note(f"{count / seconds:.0f} logins a second")
        assert count / seconds > 20 / world.slow
    return run


def frozen_initiator(world):
    """B011: an initiator that stops in the middle of a write is given up, and the LUN is as before."""
    frozen = world.full(target=NOP_TARGET, **NO_R2T)
    frozen.asked_for_data(0)
    expect(frozen.outcome(), "nop")
    expect(frozen.outcome(), "close")
    other = world.full(target=NOP_TARGET)
    expect(other.outcome_of(read10(0, 8), read=4096), "good")
    assert other.data_in == bytes(4096)


def own_address():
    """An address of this machine that is not loopback; None when there is none."""
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return probe.getsockname()[0]
    return None


def per_address(world):
    """B003: one address gets its share, others still log in."""
    address, taken = own_address(), 0
    if not address:
        print("SKIPPED tcp B003 one address: this machine has no address but loopback")
        return
    for _ in range(3 * PER_ADDRESS):
        connection = Initiator(world, address=address)
        taken += not connection.is_closed(0.02)
    assert PER_ADDRESS * 0.9 <= taken <= PER_ADDRESS, f"{taken} connections of one address"
    world.full()


def idle(count):
    """B003: so many connections that say nothing; a login beside them, and their memory."""
    def run(world):
        worker = world.roles["worker0"]
        before, silent = process.memory_kib(worker), []
        for _ in range(count):
            silent.append(socket.create_connection(("127.0.0.1", int(world.daemon.portal().rpartition(":")[2]))))
        started = time.monotonic()
        world.full()
        login_s, grown = time.monotonic() - started, process.memory_kib(worker) - before
        for connection in silent:
            connection.close()
        world.env.note(f"{count} idle connections: login beside them {login_s * 1e3:.0f} ms, memory {grown / count:.1f} KiB each")
        assert login_s < 2 * world.slow and grown / count < 64, (login_s, grown)
    return run


def many_sessions(count):
    """B003: so many sessions at a time, all of which read; the slots of statistics end before they do."""
    def run(world):
        sessions = []
        for _ in range(count):
            sessions.append(Initiator(world).full(clear=False))
            sessions[-1].command(read10(0, 8), read=4096)
        assert len(world.daemon.rest.get("/sessions?limit=1000").json["items"]) == min(count, 1000) or count < 1000
        for session in sessions:
            word = session.outcome()
            assert word == "good" or word.startswith("check:6"), word
    return run


def long_logins(count):
    """B022: logins that are continued up to their limit of text and stay: their memory has a limit of its own."""
    def run(world):
        worker, stopped, refused = world.roles["worker0"], [], 0
        before = process.memory_kib(worker)
        for _ in range(count):
            connection = Initiator(world)
            stopped.append(connection)
            for _ in range(7):
                connection.send_or_closed(connection.login_pdu(p.SECURITY, None, b"a" * 8192, more=True))
        for connection in stopped:
            try:
                refused += any(connection.login_response().status == 0x0302 for _ in range(7))
            except (ConnectionError, AssertionError):
                refused += 1
        grown = process.memory_kib(worker) - before
        world.full()
        world.env.note(f"{count} logins with 56 KiB of text each: {refused} refused, memory {grown >> 10} MiB")
        assert refused and grown < 320 << 10, (refused, grown)
    return run


def stopped_logins(count):
    """Logins that stop behind their header took the buffers of all others: no I/O, no login."""
    def run(world):
        header = bytes([0x43, 0x87, 0, 0, 0, 0, 0x20, 0]) + bytes(40)
        stopped = [socket.create_connection(("127.0.0.1", int(world.daemon.portal().rpartition(":")[2]))) for _ in range(count)]
        for connection in stopped:
            connection.sendall(header + b"x" * 100)
        started = time.monotonic()
        reader = world.full()
        expect(reader.outcome_of(read10(0, 1024), read=524288), "good")
        assert time.monotonic() - started < 1.5 * world.slow, "it waited for the others"
        for connection in stopped:
            connection.close()
    return run


def stopped_readers(world):
    """B004: eight sessions that ask for 64 MiB each and read nothing; another reads on at once."""
    before, deaf = process.memory_kib(world.roles["worker0"]), []
    for _ in range(8):
        connection = world.connect(receive_buffer=4096)
        deaf.append(connection.full())
        connection.socket.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            for _ in range(128):
                connection.send(connection.command_pdu(read10(0, 1024), read=524288))
    grown = process.memory_kib(world.roles["worker0"]) - before
    started = time.monotonic()
    reader = world.full(target=VICTIM)
    for _ in range(50):
        expect(reader.outcome_of(read10(0, 1024), read=524288), "good")
    assert time.monotonic() - started < 5 * world.slow, "it waited for those that do not read"
    assert grown < 192 << 10, f"{grown} KiB for those that do not read"


def few_open_files(world):
    """B013: connections leave open files for LUNs; when they have gone, all is as before."""
    wrapper = world.env.scratch / "few-files"
    wrapper.write_text(f'#!/bin/sh\nulimit -n {FEW_FILES}\nexec {world.daemon.program} "$@"\n')
    wrapper.chmod(0o755)
    daemon = world.env.daemon(start=False)
    daemon.program = str(wrapper)
    daemon.start()
    daemon.rest.patch("/settings", {"login_timeout_s": 600})
    daemon.serve("first", 1 << 20)
    host = ("127.0.0.1", int(daemon.portal().rpartition(":")[2]))
    flood = [socket.create_connection(host) for _ in range(2 * FEW_FILES)]
    worker = daemon.roles()["worker0"]
    wait.until(lambda: "limit open files" in daemon.log() or "cannot accept" in daemon.log(), "all that may is in", 10 * world.slow)
    daemon.serve("second", 1 << 20, number=1)
    assert "not valid" not in daemon.log(), "a message of control was lost: there was no descriptor for what came with it"
    used, started = process.cpu_s(worker), time.monotonic()
    time.sleep(1)
    assert process.cpu_s(worker) - used < 0.5 * (time.monotonic() - started), "it spins"
    for connection in flood:
        connection.close()
    world.env.run("iscsi-ls", "-s", f"iscsi://{daemon.portal()}")
    assert daemon.sanitizer_report() is None
    daemon.stop()


def cases():
    for title, data in STRANGE:
        yield Case("B009", title, strange(data))
    yield Case("B001 B002 B004 B060", "everything that ends by time", deadlines, quiet=False)
    yield Case("B006", "FIN before the data", half_close)
    yield Case("B005", "RST at each 61st byte of a login and a write", resets(61))
    yield Case("B005", "RST at each byte of a login and a write", resets(1), soak=True)
    yield Case("B010", "logins for 3 s", churn(3))
    yield Case("B010", "logins for 10 minutes", churn(600), soak=True)
    yield Case("B011", "an initiator frozen in a write", frozen_initiator)
    yield Case("B003", "one address", per_address)
    yield Case("B003", "10,000 idle connections", idle(10000))
    yield Case("B003", "1,000 sessions", many_sessions(1000))
    yield Case("B003", "16,000 sessions", many_sessions(16000), soak=True)
    yield Case("B022", "4,000 logins with 56 KiB of text", long_logins(4000))
    yield Case("B003", "6,000 logins that stop behind their header", stopped_logins(6000))
    yield Case("B004", "eight readers that stop", stopped_readers)
    yield Case("B013", "few open files", few_open_files)
