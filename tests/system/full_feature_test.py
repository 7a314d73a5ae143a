"""Wrong PDUs in the full feature phase, against the real daemon, by the rows of PROTOCOL.md section 1. Beside each test runs
an innocent session with verified I/O; afterwards everything must have been given back (harness/innocent.py)."""
import contextlib
import socket
import struct
import time

from harness import process, wait
from harness.daemon import TARGET
from harness.innocent import innocent
from harness.iscsi import Connection
from harness.registry import test
from iscsi_pdu import Connection as Initiator
from iscsi_pdu import Pdu
import iscsi_pdu as p

WRITE10, READ10 = 0x2A, 0x28
NAME = "iqn.2026-11.io.lunette.test:hostile"


def initiator(daemon, **offers):
    """A session of the digest-capable initiator, without unit attentions."""
    host, _, port = daemon.portal().rpartition(":")
    connection = Initiator(host, int(port), 10 * daemon.slow)
    response = connection.login(NAME, TARGET, **offers)
    assert response.status == 0, response
    for _ in range(8):
        connection.send(command(connection))
        if connection.receive().scsi_status == 0:
            return connection
    raise AssertionError("unit attentions without end")


def command(connection, cdb=bytes(16), flags=0x81, edtl=0, data=b"", **fields):
    """A SCSI Command in order."""
    connection.itt += 1
    pdu = Pdu(p.SCSI_COMMAND, data, flags=flags, itt=connection.itt, edtl=edtl, cmdsn=connection.cmdsn)
    pdu.cdb = bytes(cdb)
    connection.cmdsn = (connection.cmdsn + 1) & 0xFFFFFFFF
    for name, value in fields.items():
        setattr(pdu, name, value)
    return pdu


def write10(lba, blocks):
    return struct.pack(">BBIBHB", WRITE10, 0, lba, 0, blocks, 0)


def read10(lba, blocks):
    return struct.pack(">BBIBHB", READ10, 0, lba, 0, blocks, 0)


def block(daemon, lba):
    """One block, as a fresh session sees it."""
    with initiator(daemon) as reader:
        reader.isid = b"\x80\0\0\x07\0\0"
        reader.send(command(reader, read10(lba, 1), 0xC1, 512))
        return reader.receive().data


@test(quick=True)
def wrong_digests_close_and_write_nothing(env):
    """B055, B056: header and data digest of a command, a Data-Out, a text, a ping; lengths that need padding."""
    with innocent(env) as daemon:
        for kind in ("command", "data-out", "text", "ping"):
            for part in ("header", "data"):
                with initiator(daemon, HeaderDigest="CRC32C", DataDigest="CRC32C", ImmediateData="Yes") as bad:
                    if kind == "data-out":
                        bad.send(command(bad, write10(0, 1), 0xA1, 512))
                        r2t = bad.receive()
                        assert r2t.opcode == p.R2T, r2t
                        pdu = Pdu(p.DATA_OUT, b"\xee" * 512, flags=0x80, itt=bad.itt, ttt=r2t.ttt)
                    elif kind == "command":
                        pdu = command(bad, write10(0, 1), 0xA1, 512, b"\xee" * 512)
                    else:
                        pdu = Pdu(p.IMMEDIATE | (p.TEXT_REQUEST if kind == "text" else p.NOP_OUT), b"SendTargets=\0",
                                  flags=0x80, itt=99, ttt=p.NO_TAG, cmdsn=bad.cmdsn)
                    wire = bytearray(pdu.encode(True, True))
                    wire[50 if part == "header" else -1] ^= 0x40
                    bad.send_bytes(bytes(wire))
                    assert bad.is_closed(), (kind, part)
            assert block(daemon, 0) == bytes(512), kind
        with initiator(daemon, HeaderDigest="CRC32C", DataDigest="CRC32C") as good:
            for length in range(1, 9):
                good.send(Pdu(p.IMMEDIATE | p.NOP_OUT, b"x" * length, flags=0x80, itt=length, ttt=p.NO_TAG, cmdsn=good.cmdsn))
                assert good.receive().data == b"x" * length


@test(quick=True)
def wrong_lengths_and_header_segments_are_closed_or_failed(env):
    """B050, B051, B053."""
    with innocent(env) as daemon:
        for announced in (262145, 0xFFFFFF):
            with initiator(daemon) as bad:
                pdu = command(bad, write10(0, 1), 0xA1, 512)
                pdu.announced = announced
                bad.send(pdu)
                assert bad.is_closed(), announced
        for ahs in (bytes(4), b"\0\0\1\0", b"\xff\xff\1\0", b"\0\x09\1\0"):
            with initiator(daemon) as bad:
                bad.send(command(bad, ahs=ahs, ahs_words=1))
                assert bad.is_closed(), ahs
        for size in (17, 33, 245):
            with initiator(daemon) as odd:
                ahs = struct.pack(">HB", size, 1) + bytes(size)
                ahs += bytes(-len(ahs) % 4)
                odd.send(command(odd, b"\x7f" + bytes(6) + bytes([size % 256]), ahs=ahs, ahs_words=len(ahs) // 4))
                answer = odd.receive()
                assert answer.opcode == p.SCSI_RESPONSE and answer.scsi_status == 2, answer


@test(quick=True)
def pings_without_end_are_bounded(env):
    """B058, B062: pings, unknown opcodes and resets from a peer that reads nothing."""
    kinds = {
        "pings": lambda c: Pdu(p.IMMEDIATE | p.NOP_OUT, b"p" * 8000, flags=0x80, itt=5, ttt=p.NO_TAG, cmdsn=c.cmdsn),
        "rejects": lambda c: Pdu(0x1F, flags=0x80, itt=5),
        "resets": lambda c: Pdu(p.IMMEDIATE | p.TASK_REQUEST, flags=0x85, itt=5, ttt=p.NO_TAG, cmdsn=c.cmdsn),
        "commands": lambda c: command(c, byte0=p.IMMEDIATE | p.SCSI_COMMAND),
    }
    with innocent(env) as daemon:
        worker = daemon.roles()["worker0"]
        for kind, make in kinds.items():
            with initiator(daemon) as flood:
                before = process.memory_kib(worker)
                wire = make(flood).encode() * 200
                flood.socket.settimeout(0.5)
                with contextlib.suppress(OSError):
                    for _ in range(500):
                        flood.send_bytes(wire)
                grown = process.memory_kib(worker) - before
                env.note(f"{kind}: {grown} KiB")
                assert grown < (64 << 10 if env.slow == 1 else 512 << 10), (kind, grown)  # sanitizers keep what was freed


@test(quick=True)
def logouts_are_answered_by_the_book(env):
    """B063."""
    with innocent(env) as daemon:
        with initiator(daemon) as odd:
            for reason, cid, answer in ((1, 77, 1), (2, 1, 2), (3, 1, None), (127, 1, None)):
                odd.send(Pdu(p.IMMEDIATE | p.LOGOUT_REQUEST, flags=0x80 | reason, itt=9, cid=cid, cmdsn=odd.cmdsn))
                came = odd.receive()
                if answer is None:
                    assert came.opcode == p.REJECT, came
                else:
                    assert came.opcode == p.LOGOUT_RESPONSE and came.scsi_response == answer, came
            for _ in range(64):
                odd.send(command(odd, read10(0, 8), 0xC1, 4096))
            odd.send(Pdu(p.LOGOUT_REQUEST, flags=0x80, itt=9999, cid=1, cmdsn=odd.cmdsn))
            odd.send(command(odd, write10(0, 1), 0xA1, 512, b"\xee" * 512, cmdsn=odd.cmdsn + 1))
            kinds = []
            with contextlib.suppress(ConnectionError):
                while True:
                    kinds.append(odd.receive().opcode)
            assert kinds.count(p.DATA_IN) == 64, kinds
            assert p.LOGOUT_RESPONSE in kinds and p.DATA_IN not in kinds[kinds.index(p.LOGOUT_RESPONSE):], kinds
        assert block(daemon, 0) == bytes(512)


@test(quick=True)
def residuals_and_snacks(env):
    """B070."""
    cases = [  # flags, EDTL, CDB; overflow or underflow bit, residual
        (0xC1, 0xFFFFFFFF, read10(0, 1), 2, 0xFFFFFFFF - 512), (0xC1, 512, read10(0, 9), 4, 4096), (0xC1, 0, read10(0, 1), 4, 512),
        (0x81, 4096, read10(0, 1), 4, 512), (0xA1, 0, write10(0, 1), 4, 512),
    ]
    with innocent(env) as daemon:
        with initiator(daemon) as odd:
            for flags, edtl, cdb, bit, residual in cases:
                odd.send(command(odd, cdb, flags, edtl))
                came = odd.receive()
                assert came.flags & 6 == bit and struct.unpack_from(">I", came.header, 44)[0] == residual, came
            for kind in range(16):
                odd.send(Pdu(p.SNACK, flags=0x80 | kind, itt=3, ttt=p.NO_TAG))
                came = odd.receive()
                assert came.opcode == p.REJECT and came.reason == 3, came
            odd.send(command(odd, read10(0, 1), 0xE1, 512))
            assert odd.receive().opcode == p.REJECT


@test(quick=True)
def more_writes_than_the_buffers_hold_all_end(env):
    """The Data-Out that gives buffers back comes behind commands that wait for them."""
    with innocent(env) as daemon:
        with initiator(daemon, ImmediateData="Yes", InitialR2T="Yes", FirstBurstLength="8192", MaxBurstLength="1048576") as many:
            data = bytes(range(256)) * 4096
            for n in range(100):
                many.send(command(many, write10(0, 2048), 0xA1, 1 << 20, data[:8192]))
            done = 0
            while done < 100:
                came = many.receive()
                if came.opcode == p.SCSI_RESPONSE:
                    assert came.scsi_status == 0, came
                    done += 1
                    continue
                assert came.opcode == p.R2T, came
                start, length = struct.unpack_from(">II", came.header, 40)
                for sn, at in enumerate(range(start, start + length, 262144)):
                    piece = data[at:min(at + 262144, start + length)]
                    many.send(Pdu(p.DATA_OUT, piece, flags=0x80 if at + len(piece) == start + length else 0, itt=came.itt,
                                  ttt=came.ttt, datasn=sn, offset=at))


@test(quick=True)
def half_closed_and_reset_connections_abort_their_tasks(env):
    """B005, B006."""
    with innocent(env) as daemon:
        for half in (True, False):
            with initiator(daemon, ImmediateData="No", InitialR2T="Yes") as bad:
                bad.send(command(bad, write10(0, 8), 0xA1, 4096))
                assert bad.receive().opcode == p.R2T
                if half:
                    bad.socket.shutdown(socket.SHUT_WR)
                    assert bad.is_closed()
                else:
                    bad.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert block(daemon, 0) == bytes(512)


@test(quick=True)
def an_initiator_that_does_not_answer_pings_is_dropped_with_one_line(env):
    """B011, B059: by short time-outs."""
    with innocent(env) as daemon:
        daemon.rest.patch(f"/targets/{TARGET}", {"params": {"nop_interval_s": 1, "nop_timeout_s": 1}})
        with initiator(daemon, ImmediateData="No", InitialR2T="Yes") as stopped:
            stopped.send(command(stopped, write10(0, 8), 0xA1, 4096))
            kinds = []
            started = time.monotonic()
            with contextlib.suppress(ConnectionError):
                while True:
                    kinds.append(stopped.receive().opcode)
            env.note(f"dropped after {time.monotonic() - started:.1f} s")
            assert kinds == [p.R2T, p.NOP_IN], kinds
        lines = [line for line in daemon.log().splitlines() if "does not answer NOP-In" in line]
        assert len(lines) == 1, lines


@test(quick=True)
def a_byte_at_a_time_is_a_stream_all_the_same(env):
    """B007."""
    with innocent(env) as daemon:
        with initiator(daemon, HeaderDigest="CRC32C", DataDigest="CRC32C") as slow:
            wire = command(slow, write10(4, 1), 0xA1, 512, b"\x5a" * 512).encode(True, True)
            for at in range(len(wire)):
                slow.send_bytes(wire[at:at + 1])
            assert slow.receive().scsi_status == 0
        assert block(daemon, 4) == b"\x5a" * 512


@test(quick=True)
def descriptors_that_run_out_do_not_stop_accepting_for_ever(env):
    """B013: the worker's limit is lowered under its feet."""
    with innocent(env) as daemon:
        worker = daemon.roles()["worker0"]
        limit = process.limit_descriptors(worker, process.descriptors(worker) + 3)
        crowd = [Connection(daemon) for _ in range(20)]
        before = process.cpu_s(worker)
        wait.until(lambda: "cannot accept connections" in daemon.log(), "the log says so", 5 * env.slow)
        time.sleep(1)  # how long the CPU is watched
        env.note(f"CPU while it cannot accept: {process.cpu_s(worker) - before:.2f} s")
        process.limit_descriptors(worker, limit)
        for connection in crowd:
            connection.close()
        wait.until(lambda: logs_in(daemon), "logins again", 10 * env.slow)


def logs_in(daemon):
    with contextlib.suppress(OSError, AssertionError):
        Connection(daemon, timeout_s=2).login().close()
        return True
    return False
