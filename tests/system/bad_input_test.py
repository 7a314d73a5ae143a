"""Wrong input over the wire, by the rows of PROTOCOL.md section 1 (B...). An innocent session does verified I/O on another
LUN meanwhile: it must see no error, and what the wrong input cost must be given back."""
import contextlib
import os
import random
import socket
import time

from harness import iscsi, process
from harness.daemon import TARGET
from harness.innocent import innocent
from harness.iscsi import Connection, keys
from harness.registry import test

WRITE10, READ10 = 0x2A, 0x28


def refused(connection, *statuses):
    """The target answers a login with one of the statuses, or just closes."""
    came = connection.closed()
    assert all(p.opcode == iscsi.LOGIN_RESPONSE and p.status in statuses for p in came if p.status), came
    connection.close()


@test(quick=True)
def what_is_no_login_is_closed(env):
    with innocent(env) as daemon:
        for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".ljust(64), b"SSH-2.0-x\r\n".ljust(64), b"\x16\x03\x01\x02\x00" * 20,
                     random.Random(9).randbytes(4096), bytes(48)):
            connection = Connection(daemon)
            with contextlib.suppress(OSError):
                connection.send(data)
                connection.closed()
            connection.close()
        for opcode in range(0x40):
            if opcode == iscsi.LOGIN:
                continue
            connection = Connection(daemon)
            with contextlib.suppress(OSError):
                connection.pdu(opcode, 0x80)
                connection.closed()
            connection.close()


@test(quick=True)
def a_slow_or_silent_login_ends_at_the_deadline(env):
    with innocent(env) as daemon:
        silent, slow = Connection(daemon), Connection(daemon)
        started = time.monotonic()
        header = Connection.header(0x40 | iscsi.LOGIN, 0x87, 200)
        closed_after = {}
        silent.socket.settimeout(0.05)
        slow.socket.settimeout(0.05)
        while len(closed_after) < 2 and time.monotonic() - started < 8 * env.slow:
            for name, connection in (("silent", silent), ("slow", slow)):
                if name in closed_after:
                    continue
                with contextlib.suppress(TimeoutError):
                    if connection.socket.recv(1) == b"":
                        closed_after[name] = time.monotonic() - started
            with contextlib.suppress(OSError):
                slow.send(header[:1])
                header = header[1:] or header
        env.note(f"closed after {closed_after}")
        assert len(closed_after) == 2 and all(1.5 < t < 5 * env.slow for t in closed_after.values()), closed_after


@test(quick=True)
def wrong_login_text_is_refused(env):
    name = keys(InitiatorName=iscsi.NAME)
    cases = [
        b"InitiatorName" + b"\0", b"=x\0", bytes(8192), b"InitiatorName=x", name + b"TargetName=" + b"x" * 300 + b"\0",
        keys(InitiatorName="../../x", TargetName=TARGET), keys(InitiatorName="", TargetName=TARGET),
        keys(InitiatorName="iqn.x\ty", TargetName=TARGET), keys(TargetName=TARGET),
        name + keys(TargetName=TARGET, MaxBurstLength="-1"), name + keys(TargetName=TARGET, SessionType="Bogus"),
        name + keys(TargetName=TARGET) + b"".join(b"a%d=b\0" % n for n in range(900)),
    ]
    with innocent(env) as daemon:
        for text in cases:
            connection = Connection(daemon)
            with contextlib.suppress(OSError):
                connection.login_pdu(text)
                answer = connection.receive()
                assert answer.opcode == iscsi.LOGIN_RESPONSE, (text[:60], answer)
            connection.close()
        for flags in (0xC7, 0x8F, 0x80, 0x8B, 0x86, 0x8E):
            connection = Connection(daemon)
            with contextlib.suppress(ConnectionError):
                connection.login_pdu(name + keys(TargetName=TARGET), flags)
                answer = connection.receive()
                assert answer.status >> 8 != 0 or not answer.flags & 0x80, (hex(flags), answer)
            connection.close()


@test(quick=True)
def a_target_that_is_not_there_and_one_that_is_not_for_you_look_the_same(env):
    with innocent(env) as daemon:
        daemon.rest.put(f"/targets/{TARGET}/initiators/iqn.2026-11.io.lunette.test:friend", {})
        answers = []
        for target in (TARGET, TARGET + "x", TARGET.upper(), TARGET[:-1]):
            connection = Connection(daemon)
            connection.login_pdu(keys(InitiatorName=iscsi.NAME, TargetName=target, SessionType="Normal"))
            answers.append(connection.receive())
            connection.close()
        assert len({(a.status, a.data) for a in answers[:2]}) == 1, answers
        assert answers[0].status in (0x0202, 0x0203), answers[0]


@test(quick=True)
def login_text_without_end_is_cut_off(env):
    with innocent(env) as daemon:
        for piece, count in ((b"", 100000), (b"a" * 8000, 1000)):
            connection = Connection(daemon)
            sent = 0
            try:
                for sent in range(count):
                    connection.login_pdu(piece, flags=0x44)
                    if connection.receive().status:
                        break
            except OSError:
                pass
            connection.close()
            env.note(f"pieces of {len(piece)} bytes: ended after {sent}")
            assert sent < 500, sent


@test(quick=True)
def a_header_that_announces_too_much_is_closed_before_it_is_stored(env):
    with innocent(env) as daemon:
        for size in (8193, 65536, 0xFFFFFF):
            connection = Connection(daemon)
            connection.send(Connection.header(0x40 | iscsi.LOGIN, 0x87, size))
            with contextlib.suppress(OSError):
                assert all(p.status for p in connection.closed())
            connection.close()
        connection = Connection(daemon).login()
        connection.send(Connection.header(iscsi.NOP_OUT, 0x80, 0xFFFFFF, itt=5, words=(iscsi.NONE, 1, 1)))
        connection.closed()
        connection.close()


@test(quick=True)
def random_full_feature_pdus_harm_nobody(env):
    dice = random.Random(0x49)
    with innocent(env) as daemon:
        for _ in range(300):
            connection = Connection(daemon, timeout_s=2).login()
            with contextlib.suppress(OSError):
                for _ in range(dice.randrange(1, 12)):
                    header = bytearray(dice.randbytes(48))
                    header[0] = dice.choice((dice.randrange(256), iscsi.COMMAND, iscsi.DATA_OUT, iscsi.TMF, iscsi.TEXT,
                                             iscsi.NOP_OUT, iscsi.LOGOUT))
                    header[4] = 0 if dice.random() < 0.9 else dice.randrange(256)
                    header[5:8] = dice.choice((b"\0\0\0", b"\0\0\x40", b"\0\x10\0"))
                    header[24:28] = connection.cmd_sn.to_bytes(4, "big")
                    connection.cmd_sn += not header[0] & 0x40
                    length = int.from_bytes(header[5:8], "big") + header[4] * 4
                    connection.send(bytes(header) + dice.randbytes(length))
            connection.close()


@test(quick=True)
def data_out_that_was_not_asked_for_changes_nothing(env):
    """B068: each case is a write of eight blocks of 0x55 that goes wrong; the blocks must not hold anything of it."""
    data = b"\x55" * 4096
    cases = {
        "unknown transfer tag": dict(ttt=0x12345678), "offset beyond": dict(offset=4096), "before": dict(offset=-512),
        "too long": dict(data=data + data), "wrong DataSN": dict(data_sn=27), "other task": dict(itt=0x777),
    }
    with innocent(env) as daemon:
        for case, wrong in cases.items():
            connection = Connection(daemon).login(ImmediateData="No", InitialR2T="Yes").clear_attentions()
            itt = connection.command([WRITE10, 0, 0, 0, 0, 16, 0, 0, 8, 0], 0xA0, 4096)
            r2t = connection.receive()
            assert r2t.opcode == iscsi.R2T, (case, r2t)
            right = dict(ttt=r2t.word(20), offset=0, data=data, data_sn=0, itt=itt) | wrong
            with contextlib.suppress(OSError):
                connection.pdu(iscsi.DATA_OUT, 0x80, right["data"], itt=right["itt"],
                               words=(right["ttt"], 0, connection.stat_sn, 0, right["data_sn"], right["offset"]))
                connection.socket.settimeout(1.0)
                came = connection.answer()
                assert came.opcode == iscsi.REJECT or came.status != 0, (case, came)
            connection.close()
            reader = Connection(daemon).login(isid=b"\x80\0\0\2\0\0").clear_attentions()
            reader.command([READ10, 0, 0, 0, 0, 0, 0, 0, 64, 0], 0xC0, 32768)
            got = b""
            while len(got) < 32768:
                got += reader.receive().data
            assert got[8192:12288] in (bytes(4096), data) and b"\x55" not in got[:8192] + got[12288:], case
            assert got[8192:12288] == bytes(4096) or case == "too long", case
            reader.close()


@test(quick=True)
def commands_outside_the_window_are_ignored(env):
    with innocent(env) as daemon:
        connection = Connection(daemon).login().clear_attentions()
        for number in (connection.cmd_sn - 1, connection.cmd_sn + 100000):
            connection.command([0] * 6, cmd_sn=number)
        itt = connection.command([0] * 6)
        answer = connection.answer()
        assert answer.status == 0 and answer.word(16) == itt, answer
        connection.close()


@test(quick=True)
def every_operation_code_is_answered(env):
    with innocent(env) as daemon:
        connection = Connection(daemon).login().clear_attentions()
        for opcode in range(256):
            for flags, length in ((0x80, 0), (0xC0, 512)):
                connection.command([opcode] + [0] * 15, flags, length)
                answer = connection.answer()
                assert answer.opcode in (iscsi.RESPONSE, iscsi.DATA_IN), (hex(opcode), answer)
        connection.close()


@test(quick=True)
def a_connection_reset_at_any_byte_of_a_write_leaks_nothing(env):
    with innocent(env) as daemon:
        for at in range(0, 48 + 4096, 97):
            connection = Connection(daemon).login()
            whole = Connection.header(iscsi.COMMAND, 0xA0, 4096, itt=9,
                                      words=(4096, connection.cmd_sn, 1, bytes([WRITE10, 0, 0, 0, 0, 0, 0, 0, 8, 0])))
            connection.send((whole + b"\x66" * 4096)[:at])
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()


@test(quick=True)
def a_reader_that_stops_reading_is_bounded_and_dropped_without_harm(env):
    with innocent(env) as daemon:
        worker = daemon.roles()["worker0"]
        before = process.memory_kib(worker)
        connection = Connection(daemon)
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.login().clear_attentions()
        connection.socket.settimeout(0.5)
        with contextlib.suppress(OSError):
            for _ in range(1000):
                connection.command([READ10, 0, 0, 0, 0, 0, 0, 4, 0, 0], 0xC0, 524288)
        grown = process.memory_kib(worker) - before
        env.note(f"memory grew by {grown} KiB")
        assert grown < 160 << 10, grown
        connection.close()


@test(quick=True)
def many_idle_connections_do_not_keep_others_out(env):
    with innocent(env) as daemon:
        count = min(1500, os.sysconf("SC_OPEN_MAX") // 2)
        idle = []
        with contextlib.suppress(OSError):
            idle = [Connection(daemon) for _ in range(count)]
        started = time.monotonic()
        Connection(daemon).login().close()
        env.note(f"login beside {len(idle)} idle connections: {(time.monotonic() - started) * 1000:.1f} ms")
        for connection in idle:
            connection.close()


@test(quick=True)
def a_login_of_another_name_does_not_end_your_session(env):
    with innocent(env) as daemon:
        mine = Connection(daemon).login().clear_attentions()
        other = Connection(daemon).login(name="iqn.2026-11.io.lunette.test:another")
        mine.command([0] * 6)
        assert mine.answer().status == 0
        again = Connection(daemon).login()
        assert isinstance(mine.closed(), list), "the same name and ISID reinstates"
        for connection in (mine, other, again):
            connection.close()
