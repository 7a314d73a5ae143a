"""Third-party copy through the whole daemon: EXTENDED COPY and offloaded data transfer, by the rows of PROTOCOL.md B090 to B099."""
import re
import struct
import threading
import time

from harness import wait
from harness.daemon import TARGET
from harness.host import (ABORT_TASK, ABORT_TASK_SET, CLEAR_TASK_SET, LOGICAL_UNIT_RESET, PREEMPT_AND_ABORT, REGISTER, RESERVE,
                          WRITE_EXCLUSIVE_RO, Host)
from harness.registry import test
from harness.rest import quote

OTHER = "iqn.2026-11.io.lunette:other"
NOT_REACHABLE, TOKEN_UNKNOWN, TOKEN_REVOKED = 0x0D02, 0x2304, 0x2306
SEGMENT = 256 << 20
LONG = 64 * SEGMENT  # bytes; thin LUNs, nothing in them but holes
LONG_LUN = LONG + (1 << 20)


def cscd(naa):
    return struct.pack(">BB2xBBBB", 0xE4, 0, 1, 3, 0, len(naa)) + naa.ljust(20, b"\0") + struct.pack(">I", 512)


def segment(source, destination, source_lba, destination_lba, size_bytes):
    """Block device to block device with offset: 0Ah, whose count is in bytes."""
    return struct.pack(">BBHHHIQQHH", 0x0A, 0, 0x1C, source, destination, size_bytes, source_lba, destination_lba, 0, 0)


def extended_copy(names, segments, list_id=1):
    """(CDB, parameter list) of EXTENDED COPY(LID1)."""
    descriptors = b"".join(map(cscd, names))
    body = b"".join(segments)
    parameters = struct.pack(">BBHIII", list_id, 0, len(descriptors), 0, len(body), 0) + descriptors + body
    return struct.pack(">BB8xIBB", 0x83, 0, len(parameters), 0, 0), parameters


def immediate_copy(names, segments, list_id=1):
    """(CDB, parameter list) of EXTENDED COPY(LID4) with IMMED."""
    descriptors, body = b"".join(map(cscd, names)), b"".join(segments)
    parameters = struct.pack(">BBH11xBB3xI18xHHH", 1, 0, 0x20, 1, 0xFF, list_id, len(descriptors), len(body), 0) + descriptors + body
    return struct.pack(">BB8xIBB", 0x83, 1, len(parameters), 0, 0), parameters


def copy_status(session, list_id=1):
    """COPY OPERATION STATUS of RECEIVE COPY STATUS(LID4)."""
    return session.do(struct.pack(">BBI4xIBB", 0x84, 0x05, list_id, 256, 0, 0), in_bytes=256).data[5]


def populate_token(session, ranges, lun=0):
    """The token, or the outcome that is no success."""
    body = b"".join(struct.pack(">QII", lba, blocks, 0) for lba, blocks in ranges)
    parameters = struct.pack(">HBBIIHH", 14 + len(body), 0, 0, 0, 0, 0, len(body)) + body
    outcome = session.do(struct.pack(">BB4xIIBB", 0x83, 0x10, 7, len(parameters), 0, 0), parameters, lun=lun)
    if outcome.status:
        return outcome
    data = session.do(struct.pack(">BBI4xIBB", 0x84, 0x07, 7, 1024, 0, 0), in_bytes=1024, lun=lun).data
    assert data[5] == 1, data.hex()
    return data[38:550]


def write_using_token(session, token, ranges, lun=0):
    body = b"".join(struct.pack(">QII", lba, blocks, 0) for lba, blocks in ranges)
    parameters = struct.pack(">H6xQ", 534 + len(body), 0) + token + struct.pack(">6xH", len(body)) + body
    return session.do(struct.pack(">BB4xIIBB", 0x83, 0x11, 8, len(parameters), 0, 0), parameters, lun=lun)


def pattern(seed, blocks):
    return b"".join(struct.pack(">QQ", seed, n) * 32 for n in range(blocks))


@test(quick=True)
def blocks_are_copied_between_luns_of_a_target(env):
    daemon = env.daemon()
    daemon.serve("a", 8 << 20)
    daemon.serve("b", 8 << 20, number=1)
    with Host(daemon, "copier", more_luns=(1,)) as session:
        session.write_bytes(100, pattern(1, 64))
        outcome = session.do(*extended_copy([session.naa(0), session.naa(1)], [segment(0, 1, 100, 7, 64 * 512)]))
        assert outcome.status == 0, outcome
        assert session.read(7, 64, lun=1).data == pattern(1, 64)
        token = populate_token(session, [(100, 64)])
        assert write_using_token(session, token, [(1000, 60), (2000, 4)], lun=1).status == 0
        assert session.read(1000, 60, lun=1).data + session.read(2000, 4, lun=1).data == pattern(1, 64)
        session.write_bytes(163, pattern(2, 1))
        assert write_using_token(session, token, [(1000, 1)], lun=1).asc == TOKEN_REVOKED


@test(quick=True)
def b090_b099_another_tenants_data_cannot_be_copied(env):
    """By name and by token, in both directions; it is said in the log once for each."""
    daemon = env.daemon()
    daemon.serve("mine", 8 << 20)
    daemon.serve("theirs", 8 << 20, target=OTHER)
    with Host(daemon, "copier") as mine, Host(daemon, "copier", OTHER) as theirs:
        theirs.write_bytes(0, pattern(1, 8))
        for source in (0, 1):
            outcome = mine.do(*extended_copy([mine.naa(), theirs.naa()], [segment(source, 1 - source, 0, 0, 4096)]))
            assert (outcome.status, outcome.key, outcome.asc) == (2, 0xA, NOT_REACHABLE), outcome
        token = populate_token(theirs, [(0, 8)])
        outcome = write_using_token(mine, token, [(0, 8)])
        assert (outcome.status, outcome.key, outcome.asc) == (2, 5, TOKEN_UNKNOWN), outcome
        assert mine.read(0, 8).data == bytes(4096) and theirs.read(0, 8).data == pattern(1, 8)
        log = daemon.log()
        assert log.count("copy refused, not a logical unit of this initiator") == 2, log[-2000:]
        assert log.count("token refused, not one of ours") == 1, log[-2000:]


class LongCopy:
    """A copy of LONG bytes from LUN `a` (number 0) to LUN `b` (number 1), of which the REST service already tells. Behind what
    it copies, and at its end, stands a mark that only a copy which did not stop would overwrite."""

    END = LONG // 512 - 1
    may_end = ()

    def __init__(self, env, immediate=False):
        self.daemon = env.daemon()
        for number, name in enumerate("ab"):
            self.daemon.serve(name, LONG_LUN, number=number)
        self.session = Host(self.daemon, "copier", more_luns=(1,))
        assert self.session.write_bytes(self.END, pattern(9, 1), lun=1).status == 0
        segments = [segment(0, 1, n * SEGMENT // 512, n * SEGMENT // 512, SEGMENT) for n in range(64)]
        command = immediate_copy if immediate else extended_copy
        self.tag = self.session.send(*command([self.session.naa(0), self.session.naa(1)], segments))
        if immediate:
            assert self.session.receive(self.tag).status == 0
        self.operation = wait.until(lambda: self.seen("running"), "the copy is an operation", 20 * env.slow)

    def seen(self, *states):
        """The copy among the operations, in one of these states."""
        return next((o for o in self.daemon.rest.get("/operations").json["items"]
                     if o.get("kind") == "extended-copy" and o["state"] in states), None)

    def is_over(self):
        assert not self.seen("running"), "it still runs"

    def stopped(self, env):
        """It has ended before its end: somebody ended it, or it found itself without access before it was told."""
        ended = wait.until(lambda: self.seen("cancelled", *self.may_end), "the copy has stopped", 10 * env.slow)
        assert 0 < ended["done_bytes"] < ended["total_bytes"] == LONG, ended
        with Host(self.daemon, "copier", more_luns=(1,)) as later:
            assert later.read(self.END, 1, lun=1).data == pattern(9, 1)
        env.note(f"stopped after {ended['done_bytes'] >> 20} of {LONG >> 20} MiB")


@test()
def b098_the_reset_of_either_lun_stops_a_copy(env):
    for lun in (0, 1):
        copy = LongCopy(env)
        with copy.session as session:
            assert copy.operation["object"] == "lun:a" and copy.operation["cancellable"], copy.operation
            assert session.manage(LOGICAL_UNIT_RESET, lun=lun) == 0
            copy.stopped(env)


@test()
def b098_the_end_of_the_session_stops_a_copy(env):
    copy = LongCopy(env)
    copy.session.close()
    copy.stopped(env)


@test()
def an_immediate_copy_goes_on_behind_its_answer(env):
    """SPC-4 5.17.4.3: task management of commands does not reach it; it is asked for, and ended, by its list identifier."""
    copy = LongCopy(env, immediate=True)
    with copy.session as session:
        assert session.manage(ABORT_TASK, copy.tag) == 1, "the command has ended: there is no such task"
        assert session.manage(ABORT_TASK_SET) == 0 and session.manage(CLEAR_TASK_SET) == 0
        assert copy_status(session) == 0x11 and copy.seen("running")
        assert session.do(struct.pack(">BBI8xBB", 0x83, 0x1C, 1, 0, 0)).status == 0
        wait.until(lambda: copy_status(session) == 0x60, "COPY OPERATION ABORT has stopped it", 10 * env.slow)
    copy.stopped(env)


def reset(copy):
    with copy.session as session:
        assert session.manage(LOGICAL_UNIT_RESET, lun=1) == 0
        copy.is_over()


def preempt(copy):
    """I5: GOOD means that the copy writes no more. The reservation is in force before the abort reaches the copy."""
    copy.may_end = ("failed",)
    with copy.session as session, Host(copy.daemon, "fencer", lun=1) as fencer:
        session.lun = 1
        assert session.pr_out(REGISTER, service_key=1).status == fencer.pr_out(REGISTER, service_key=2).status == 0
        assert session.pr_out(RESERVE, WRITE_EXCLUSIVE_RO, 1).status == 0
        assert fencer.pr_out(PREEMPT_AND_ABORT, WRITE_EXCLUSIVE_RO, 2, 1).status == 0
        copy.is_over()
        assert fencer.pr_out(6, 0, 0, 0).status == 0


def log_out(copy):
    with copy.session as session:
        session.connection.logout()
        copy.is_over()


def cancel(copy):
    with copy.session:
        copy.daemon.rest.delete(f"/operations/{quote(copy.operation['id'])}")


@test()
def an_immediate_copy_is_stopped_by_resets_fences_logout_and_administrators(env):
    for stop in (reset, preempt, log_out, cancel, lambda copy: copy.session.close()):
        copy = LongCopy(env, immediate=True)
        stop(copy)
        copy.stopped(env)


@test()
def an_administrator_can_cancel_a_copy(env):
    copy = LongCopy(env)
    with copy.session as session:
        copy.daemon.rest.delete(f"/operations/{quote(copy.operation['id'])}")
        outcome = session.receive(copy.tag)
        assert (outcome.status, outcome.key) == (2, 0xA), outcome
        copy.stopped(env)


@test()
def a_lun_can_be_taken_away_while_it_is_copied_from(env):
    copy = LongCopy(env)
    with copy.session:
        copy.daemon.rest.delete(f"/targets/{quote(TARGET)}/luns/1")
        assert wait.until(lambda: copy.seen("cancelled"), "the copy has stopped", 10 * env.slow)
        copy.daemon.rest.delete("/luns/b")


class Writer:
    """Writes two ranges of LUN `a` with the same number, the first before the second, again and again, in its own session."""

    RANGES = ((0, 64), (16000, 64))

    def __init__(self, daemon):
        self.session = Host(daemon, "writer")
        self.stopping = threading.Event()
        self.number = 0
        self.pause_s = 0.005  # or no token would live until it is used
        self.write()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def write(self):
        self.number += 1
        for lba, blocks in self.RANGES:
            assert self.session.write_bytes(lba, struct.pack(">Q", self.number) * 64 * blocks).status == 0

    def run(self):
        while not self.stopping.is_set():
            self.write()
            self.stopping.wait(self.pause_s)

    def stop(self):
        self.stopping.set()
        self.thread.join()
        self.session.close()


@test(quick=True)
def a_token_never_shows_data_of_two_moments(env):
    """Writes race with tokens, on another reactor. What was copied is the state between two writes, or nothing."""
    daemon = env.daemon(reactors=2)
    daemon.serve("a", 8 << 20, store="memory")
    daemon.serve("b", 8 << 20, number=1, store="memory")
    with Host(daemon, "copier") as filler:
        for lba in range(64, 16000, 64):
            filler.write_bytes(lba, pattern(lba, 64))
    writer = Writer(daemon)
    copied, revoked = 0, 0
    with Host(daemon, "copier", more_luns=(1,)) as session:
        deadline = time.monotonic() + 10 * env.slow
        while (copied < 100 or revoked < 20) and time.monotonic() < deadline:
            token = populate_token(session, [(0, 16064)])  # what lies between them takes its time
            outcome = write_using_token(session, token, [(0, 16064)], lun=1)
            if outcome.status:
                assert outcome.asc == TOKEN_REVOKED, outcome
                revoked += 1
                if revoked > 50 * (copied + 1):
                    writer.pause_s = min(2 * writer.pause_s, 1)  # a build that copies slowly
                    revoked = 1
                continue
            copied += 1
            numbers = struct.unpack(">8192Q", session.read(0, 64, lun=1).data + session.read(16000, 64, lun=1).data)
            assert len(set(numbers[:4096])) == 1 and len(set(numbers[4096:])) == 1, "a write that is half there"
            assert numbers[0] - numbers[-1] in (0, 1), (numbers[0], numbers[-1])
    writer.stop()
    env.note(f"{copied} copied, {revoked} revoked, {writer.number} writes")
    assert copied >= 20 and revoked >= 5, (copied, revoked)


def allocated(daemon, name):
    """allocated_bytes of a LUN, as the worker knows it; None: not yet."""
    text = daemon.rest.raw("GET", "/metrics", headers={"Authorization": f"Bearer {daemon.token()}"}).text
    found = re.search(rf'^lunette_\w*allocated_bytes{{[^}}]*lun="{name}"[^}}]*}} ([0-9.e+]+)$', text, re.M)
    return int(float(found.group(1))) if found else None


@test(quick=True)
def what_a_copy_allocates_is_seen(env):
    """In a LUN that nobody but a copy has written to."""
    daemon = env.daemon()
    daemon.serve("a", 8 << 20)
    daemon.serve("b", 8 << 20, number=1)
    with Host(daemon, "copier", more_luns=(1,)) as session:
        session.write_bytes(0, pattern(1, 128))
        assert session.do(*extended_copy([session.naa(0), session.naa(1)], [segment(0, 1, 0, 0, 65536)])).status == 0
    daemon.serve("c", 1 << 20, number=2)  # a new LUN is asked for at once, and with it those that have changed
    wait.until(lambda: allocated(daemon, "b") == 65536, "what was copied is allocated", 10 * env.slow)
