"""Wrong PDUs in the full feature phase (B049 to B070)."""
import random

import iscsi_pdu as p
from harness import wait
from harness.daemon import TARGET
from initiator import NAME, NO_R2T, SILENCE_S, TUR, Initiator, expect, read10, write10
from world import NOP_TARGET, Case

CLASS = "pdu"
INQUIRY = [0x12, 0, 0, 0, 96, 0]
BLOCK, DATA = 512, b"\x55" * 4096


def make(world_class, env):
    world = world_class(env, reactors=2)
    world.serve_pings()
    return world


def blocks_of(world, lba, blocks):
    """What another session reads there."""
    reader = world.full()
    expect(reader.outcome_of(read10(lba, blocks), read=blocks * BLOCK), "good")
    return reader.data_in


# ---------------------------------------------------------------- one PDU, one outcome

def one(make_pdu, *right, more=b"", **offers):
    """A session, one PDU (and bytes behind it), its outcome; what is not closed still answers pings."""
    def run(world):
        connection = world.full(**offers)
        connection.send_or_closed(make_pdu(connection))
        if more:
            connection.send_or_closed(more)
        got = connection.outcome(SILENCE_S * world.slow if "silence" in right else None)
        expect(got, *right)
        assert got in ("close", "logout:0") or connection.alive(), "it does not answer pings any more"
    return run


def announces(opcode, size, **fields):
    def made(c):
        pdu = c.pdu(opcode, **fields)
        pdu.announced = size
        return pdu
    return made


def with_ahs(opcode, ahs, **fields):
    def made(c):
        pdu = c.command_pdu(TUR, **fields) if opcode == p.SCSI_COMMAND else c.pdu(opcode, **fields)
        pdu.ahs, pdu.ahs_words = ahs, len(ahs) // 4
        return pdu
    return made


def raw_header(**fields):
    return lambda c: c.pdu(p.NOP_OUT, immediate=True, **fields)


def cdb_ahs(length, kind=1):
    """An AHS that says to have so many bytes of CDB."""
    return (length + 1).to_bytes(2, "big") + bytes([kind, 0]) + bytes(length) + bytes(-length % 4)


NEG = 0xFFFFFFFF
VARIABLE = [0x7F, 0, 0, 0, 0, 0, 0, 0x18, 0, 0x09] + [0] * 6  # READ(32), ADDITIONAL CDB LENGTH 18h

# rows, title, PDU, right outcomes
SINGLE = [
    ("B049", "operation code of a target", lambda c: c.pdu(0x20, immediate=True), "reject:05", "reject:04", "close"),
    ("B049", "reserved operation code", lambda c: c.pdu(0x1C, immediate=True), "reject:05"),
    ("B049", "Login Request in full feature phase", lambda c: c.pdu(p.LOGIN_REQUEST, b"a=b\0", immediate=True), "reject:04", "close"),
    ("B050", "NOP, MaxRecvDataSegmentLength + 1", announces(p.NOP_OUT, 262145), "close"),
    ("B050", "NOP, 2^24 - 1", announces(p.NOP_OUT, 0xFFFFFF), "close"),
    ("B050", "Text, 2^24 - 1", announces(p.TEXT_REQUEST, 0xFFFFFF), "close"),
    ("B050", "Data-Out, 2^24 - 1", announces(p.DATA_OUT, 0xFFFFFF), "close"),
    ("B050", "reserved operation code, 2^24 - 1", announces(0x1C, 0xFFFFFF), "close"),
    ("B051", "NOP with AHS", with_ahs(p.NOP_OUT, bytes(4)), "close"),
    ("B051", "Text with AHS", with_ahs(p.TEXT_REQUEST, cdb_ahs(4)), "close"),
    ("B051", "Logout with AHS of 1020 bytes", with_ahs(p.LOGOUT_REQUEST, bytes(1020)), "close"),
    ("B051", "Data-Out with AHS", with_ahs(p.DATA_OUT, bytes(4)), "close"),
    ("B051", "AHSLength 0", with_ahs(p.SCSI_COMMAND, bytes(4)), "close"),
    ("B051", "AHSLength 65535", with_ahs(p.SCSI_COMMAND, b"\xff\xff\1\0" + bytes(8)), "close"),
    ("B051", "AHSLength beyond TotalAHSLength by one", with_ahs(p.SCSI_COMMAND, b"\0\2\1\0"), "close", "good"),
    ("B051", "AHSLength 1, no CDB in it", with_ahs(p.SCSI_COMMAND, b"\0\1\1\0"), "good"),
    ("B051", "unknown AHS type", with_ahs(p.SCSI_COMMAND, cdb_ahs(4, kind=0x3F)), "good", "reject:*"),
    ("B051", "two CDBs", with_ahs(p.SCSI_COMMAND, cdb_ahs(4) + cdb_ahs(4)), "good", "reject:*", "close"),
    ("B053", "CDB of 260 bytes", with_ahs(p.SCSI_COMMAND, cdb_ahs(244)), "good", "check:5/*"),
    ("B053", "CDB of 264 bytes", with_ahs(p.SCSI_COMMAND, cdb_ahs(248)), "good", "check:5/*", "reject:*", "close"),
    ("B053", "TotalAHSLength 255", with_ahs(p.SCSI_COMMAND, cdb_ahs(1016)), "close", "reject:*"),
    ("B053", "variable length CDB without AHS", lambda c: c.command_pdu(VARIABLE, read=512), "check:5/2[046]/00"),
    ("B053", "ADDITIONAL CDB LENGTH 255", lambda c: c.command_pdu([0x7F] + [0] * 6 + [0xFF, 0, 9], read=512), "check:5/2[046]/00"),
    ("B054", "LUN of all ones", lambda c: c.command_pdu(TUR, lun=(1 << 64) - 1), "check:5/25/00"),
    ("B054", "LUN format 3", lambda c: c.command_pdu(TUR, lun=0xC0 << 56), "check:5/25/00"),
    ("B054", "LUN of four levels", lambda c: c.command_pdu(TUR, lun=0x0001000100010001), "check:5/25/00"),
    ("B054", "INQUIRY of a LUN that is not there", lambda c: c.command_pdu(INQUIRY, read=96, lun=0x3FFF << 48), "good"),
    ("B054", "reserved bits of a header", lambda c: c.pdu(p.NOP_OUT, immediate=True, version_max=0xFF, version_min=0xFF), "nop"),
    ("B054", "reserved flags of a command", lambda c: c.command_pdu(TUR, flags=0x80 | 0x18), "good", "reject:*"),
    ("B054", "reserved task attribute", lambda c: c.command_pdu(TUR, flags=0x80 | 7), "good", "check:5/*", "reject:*"),
    ("B058", "ITT of all ones with I = 0", lambda c: c.pdu(p.NOP_OUT, itt=NEG), "reject:09", "silence"),
    ("B058", "forged TTT", lambda c: c.pdu(p.NOP_OUT, immediate=True, itt=NEG, ttt=0x1234), "reject:09"),
    ("B058", "ping with a TTT", lambda c: c.pdu(p.NOP_OUT, b"ping", immediate=True, ttt=0x1234), "nop", "reject:*"),
    ("B059", "an answer to no NOP-In", lambda c: c.pdu(p.NOP_OUT, immediate=True, itt=NEG, ttt=0), "reject:09"),
    ("B060", "CmdSN before the window", lambda c: c.command_pdu(TUR, cmdsn=c.cmdsn - 1), "silence"),
    ("B060", "CmdSN far before the window", lambda c: c.command_pdu(TUR, cmdsn=c.cmdsn + (1 << 31) - 1 & NEG), "silence"),
    ("B060", "CmdSN behind the window", lambda c: c.command_pdu(TUR, cmdsn=c.cmdsn + 100000), "silence"),
    ("B060", "NOP behind the window", lambda c: c.pdu(p.NOP_OUT, cmdsn=c.cmdsn + 5000), "silence"),
    ("B061", "ITT of all ones", lambda c: c.command_pdu(TUR, itt=NEG), "reject:09", "reject:04", "close"),
    ("B063", "Logout for recovery at ERL 0", lambda c: c.pdu(p.LOGOUT_REQUEST, immediate=True, flags=0x82, cid=1), "logout:2"),
    ("B063", "Logout of an unknown connection", lambda c: c.pdu(p.LOGOUT_REQUEST, immediate=True, flags=0x81, cid=77), "logout:1"),
    ("B063", "Logout with data", lambda c: c.pdu(p.LOGOUT_REQUEST, b"data", immediate=True, flags=0x80), "logout:0", "reject:*"),
    ("B067", "RefCmdSN outside the window", lambda c: c.task_request(1, ttt=0x999, edtl=0x999, datasn=1), "tmf:01"),
    ("B067", "LUN that is not there", lambda c: c.task_request(5, lun=9 << 48), "tmf:02"),
    ("B068", "Data-Out for nothing", lambda c: c.pdu(p.DATA_OUT, DATA, ttt=0x12345678), "close", "reject:*"),
    ("B068", "unsolicited Data-Out for nothing", lambda c: c.pdu(p.DATA_OUT, DATA), "close", "reject:*"),
    ("B069", "immediate data without W", lambda c: c.command_pdu(read10(0, 8), data=DATA, flags=0xC0), "check:b/0c/0c", "check:b/0c/0d",
     "reject:*"),
    ("B069", "immediate data of a command that takes none", lambda c: c.command_pdu(TUR, data=DATA), "good", "check:*", "reject:*"),
    ("B069", "immediate data beyond EDTL", lambda c: c.command_pdu(write10(0, 8), data=DATA, edtl=512), "check:b/*", "reject:*"),
    ("B069", "EDTL 0, data", lambda c: c.command_pdu(write10(0, 8), data=DATA, edtl=0), "check:b/*", "reject:*"),
    ("B069", "final bit missing at a READ", lambda c: c.command_pdu(read10(0, 8), read=4096, flags=0x40), "check:b/*", "reject:*"),
    ("B070", "R and W", lambda c: c.command_pdu(read10(0, 8), flags=0xE0, edtl=4096), "reject:09", "check:5/*"),
    ("B070", "EDTL without R and W", lambda c: c.command_pdu(TUR, edtl=4096), "good", "reject:*"),
    ("B070", "EDTL 0 at a WRITE", lambda c: c.command_pdu(write10(0, 8), flags=0xA0, edtl=0), "good", "check:*"),
    ("B070", "READ of 1 block, EDTL 2^32 - 1", lambda c: c.command_pdu(read10(0, 1), read=NEG), "good"),
    *[("B070", f"SNACK type {kind}", lambda c, k=kind: c.pdu(p.SNACK, flags=0x80 | k, lun=0, edtl=0, cmdsn=0, datasn=0, offset=NEG),
       "reject:03") for kind in range(5)],
]
SINGLE += [("B067", f"function {n}", lambda c, n=n: c.task_request(n), "tmf:05")
           for n in (0, 9, 10, 63, 126, 127)]
SINGLE += [("B063", f"Logout reason {n}", lambda c, n=n: c.pdu(p.LOGOUT_REQUEST, immediate=True, flags=0x80 | n), "reject:09")
           for n in (3, 4, 63, 126, 127)]


# ---------------------------------------------------------------- digests

def digest_error(part, opcode):
    """A wrong digest ends the connection, and nothing of a write is seen (ERL 0)."""
    def run(world):
        connection = world.full(HeaderDigest="CRC32C", DataDigest="CRC32C", ImmediateData="Yes")
        pdu = connection.command_pdu(write10(64, 8), data=DATA) if opcode == p.SCSI_COMMAND else connection.pdu(opcode, b"a=b\0")
        if opcode == p.DATA_OUT:
            connection.asked_for_data(64)
            pdu = connection.data_out(connection.last, DATA)
        wire = bytearray(pdu.encode(True, True))
        wire[50 if part == "header" else -1] ^= 0x10
        connection.send_or_closed(bytes(wire))
        expect(connection.outcome(), "close")
        assert blocks_of(world, 64, 8) == bytes(4096), "a part of the write is on the medium"
    return run


def digests_of_odd_lengths(world):
    connection = world.full(HeaderDigest="CRC32C", DataDigest="CRC32C")
    for extra in range(9):
        connection.send(connection.pdu(p.TEXT_REQUEST, b"X-k=v" + b"v" * extra + b"\0", immediate=True))
        expect(connection.outcome(), "text")
        connection.send(connection.pdu(p.NOP_OUT, b"p" * extra, immediate=True))
        expect(connection.outcome(), "nop")
        assert connection.last.data == b"p" * extra


# ---------------------------------------------------------------- Data-Out

def data_out(**wrong):
    """A write of eight blocks of 0x55 whose data goes wrong: a Reject, an error or the end, and nothing outside the eight."""
    def run(world):
        connection = world.full(**NO_R2T)
        connection.asked_for_data(16)
        sent = dict(wrong)
        for pdu in sent.pop("pdus", [{}]):
            fields = {**sent, **pdu}
            connection.send_or_closed(connection.data_out(connection.last, fields.pop("data", DATA), **fields))
        expect(connection.outcome(1.0), "close", "reject:*", "check:b/*", "silence")
        connection.close()
        got = blocks_of(world, 0, 64)
        assert b"\x55" not in got[:8192] + got[12288:], "data outside of what was to be written"
        assert got[8192:12288] == bytes(4096), "a write that failed is on the medium"
    return run


DATA_OUT = [
    ("unknown TTT", dict(ttt=0x12345678)), ("offset beyond", dict(offset=4096)), ("offset before", dict(offset=0xFFFFFE00)),
    ("offset of a hole", dict(offset=512, data=DATA[:512])), ("longer than the R2T", dict(data=DATA + DATA)),
    ("DataSN 27", dict(datasn=27)), ("DataSN -1", dict(datasn=NEG)), ("another ITT", dict(itt=0x777)),
    ("no final bit", dict(flags=0)), ("final bit early", dict(data=DATA[:512])),
    ("DataSN 0, 0", dict(pdus=[dict(data=DATA[:512], flags=0), dict(data=DATA[512:], offset=512)])),
    ("DataSN 1, 0", dict(pdus=[dict(data=DATA[:512], flags=0, datasn=1), dict(data=DATA[512:], offset=512)])),
    ("unsolicited", dict(ttt=NEG)), ("nothing in it", dict(data=b"")),
]


def data_behind_the_last(world):
    """Data-Out behind the final one of its R2T."""
    connection = world.full(**NO_R2T)
    connection.asked_for_data(200)
    r2t = connection.last
    connection.send(connection.data_out(r2t, DATA))
    expect(connection.outcome(), "good")
    connection.send_or_closed(connection.data_out(r2t, b"\xaa" * 4096, datasn=1))
    expect(connection.outcome(SILENCE_S * world.slow), "close", "reject:*", "silence")
    assert blocks_of(world, 200, 8) == DATA


def data_of_another_task(world):
    connection = world.full(**NO_R2T)
    connection.asked_for_data(300)
    one_r2t = connection.last
    connection.asked_for_data(316)
    connection.send_or_closed(connection.data_out(one_r2t, DATA, ttt=connection.last.ttt))
    expect(connection.outcome(), "close", "reject:*")
    assert blocks_of(world, 300, 24) == bytes(24 * BLOCK)


def data_for_a_read(world):
    connection = world.full()
    pdu = connection.command_pdu(read10(0, 1), read=512)
    connection.send(pdu)
    connection.send_or_closed(connection.pdu(p.DATA_OUT, DATA, itt=pdu.itt))
    expect(connection.outcome(), "good", "close", "reject:*")


def wrong_lun_in_data_out(world):
    """The LUN field of Data-Out means nothing when the TTT is right (SPDK 855633a)."""
    connection = world.full(**NO_R2T)
    connection.asked_for_data(400)
    connection.send(connection.data_out(connection.last, DATA, lun=0x7777 << 48))
    expect(connection.outcome(), "good")


def beyond_first_burst(world):
    """Unsolicited data of FirstBurstLength + 512."""
    connection = world.full(InitialR2T="No", ImmediateData="Yes", FirstBurstLength=4096, MaxBurstLength=65536)
    connection.send(connection.command_pdu(write10(500, 16), data=DATA, edtl=8192, flags=0x20))
    connection.send_or_closed(connection.pdu(p.DATA_OUT, DATA[:512], itt=connection.itt, offset=4096))
    expect(connection.outcome(), "close", "reject:*", "check:b/*")
    assert blocks_of(world, 500, 16) == bytes(8192)


def immediate_data_refused(world):
    connection = world.full(ImmediateData="No")
    expect(connection.outcome_of(write10(500, 8), data=DATA), "check:b/0c/0c", "reject:*")
    assert connection.alive() and blocks_of(world, 500, 8) == bytes(4096)


# ---------------------------------------------------------------- tags, numbers, floods

def duplicate_tag(world):
    connection = world.full(**NO_R2T)
    tag = connection.asked_for_data(0)
    expect(connection.outcome_of(TUR, itt=tag), "reject:07", "close")
    if connection.alive():
        expect(connection.outcome_of(TUR), "good")


def tag_used_again(world):
    connection = world.full()
    for _ in range(100):
        expect(connection.outcome_of(TUR, itt=0x4711), "good")


def window_wraps(world):
    connection = Initiator(world)
    connection.cmdsn = NEG - 2
    connection.full()
    for _ in range(10):
        expect(connection.outcome_of(TUR), "good")
    assert connection.cmdsn < 100


def window_full_behind_a_hole(world):
    """More commands behind a missing CmdSN than are kept."""
    connection = world.full()
    for ahead in range(1, 120):
        connection.send_or_closed(connection.command_pdu(TUR, cmdsn=connection.cmdsn + ahead))
    expect(connection.outcome(), "close")


def hole_that_is_filled(world):
    connection = world.full()
    for ahead in range(20, 0, -1):
        connection.send(connection.command_pdu(TUR, cmdsn=connection.cmdsn + ahead))
    connection.command(TUR)
    assert [connection.outcome() for _ in range(21)] == ["good"] * 21


def immediate_flood(count, **how):
    """Immediate commands that wait for data, or task management: beyond the limit Reject 06, and the session lives."""
    def run(world):
        connection = world.full(**NO_R2T)
        connection.socket.settimeout(60 * world.slow)
        words = []
        for batch in range(count // 50):
            for _ in range(50):
                if how.get("tmf"):
                    connection.send(connection.task_request(how["tmf"]))
                else:
                    connection.send(connection.command_pdu(write10(0, 8), write=4096, header={}, byte0=p.IMMEDIATE | p.SCSI_COMMAND,
                                                           cmdsn=connection.cmdsn))
            words += [connection.outcome() for _ in range(50)]
        assert set(words) <= {"r2t", "reject:06", "tmf:00"}, set(words)
        assert how.get("tmf") or 0 < words.count("r2t") <= 16, words.count("r2t")
        assert connection.alive()
    return run


def ping_flood(count):
    """Pings of the longest data whose answers nobody reads, then are read after all."""
    def run(world):
        connection = world.connect(receive_buffer=4096)
        connection.full()
        connection.socket.settimeout(1.0)
        sent = 0
        try:
            for sent in range(count):
                connection.send(connection.pdu(p.NOP_OUT, b"p" * 65536, immediate=True))
        except TimeoutError:
            pass
        assert sent < count, "it took all pings while nobody read"
    return run


# ---------------------------------------------------------------- task management and logout

def lu_reset_storm(rounds):
    """B065: two sessions reset the LU again and again while both write; the answer comes after all that it concerns."""
    def run(world):
        pair = [world.full(**NO_R2T) for _ in range(2)]
        for turn in range(rounds):
            tags = []
            for connection in pair:
                for n in range(4):
                    connection.command(write10(1000 + n * 8, 8), write=4096)
            for connection in pair:
                reset = connection.task_request(5)
                connection.send(reset)
                tags.append(reset.itt)
            for connection in pair:
                word = connection.outcome()
                while word != "tmf:00":
                    assert word in ("r2t", "good", "check:6/29/03", "check:6/29/00"), word
                    word = connection.outcome()
            for connection in pair:  # what was aborted says nothing any more; a unit attention or two does
                words = [connection.outcome_of(TUR)]
                while words[-1] != "good":
                    assert words[-1].startswith("check:6/29") or words[-1] in ("r2t", "tmf:00"), words
                    words.append(connection.outcome() if words[-1] in ("r2t", "tmf:00") else connection.outcome_of(TUR))
    return run


def logout_during_io(world):
    """Logout while 100 reads and a write that waits for data are under way: no answer behind the Logout Response."""
    connection = world.full(**NO_R2T)
    connection.command(write10(0, 8), write=4096)
    for _ in range(100):
        connection.command(read10(0, 64), read=32768)
    connection.send(connection.pdu(p.LOGOUT_REQUEST, immediate=True, flags=0x80))
    connection.send_or_closed(connection.command_pdu(TUR))
    words = []
    while not words or words[-1] != "close":
        words.append(connection.outcome())
    assert words.count("logout:0") == 1 and words[-2:] in (["logout:0", "close"], ["reject:0a", "close"]), words[-4:]


def dropped_with_commands(world):
    """B064: connections that go with commands queued, and come back at once under the same name and ISID."""
    connection = world.full(**NO_R2T)
    for n in range(30):
        for _ in range(20):
            connection.command(read10(0, 64), read=32768)
        connection.command(write10(0, 8), write=4096)
        again = Initiator(world)
        again.isid = connection.isid
        (connection.reset if n % 2 else connection.close)()
        connection = again.full(**NO_R2T)


def pings_unanswered(world):
    """B059: who answers no NOP-In is dropped once; who answers twice, or with another tag, gets a Reject."""
    silent, twice = Initiator(world, name=NAME + "-1").full(target=NOP_TARGET), Initiator(world, name=NAME + "-2").full(target=NOP_TARGET)
    expect(twice.outcome(), "nop")
    ttt = twice.last.ttt
    for right in (ttt, ttt, ttt + 1):
        twice.send(twice.pdu(p.NOP_OUT, immediate=True, itt=NEG, ttt=right))
    expect(twice.outcome(), "reject:09")
    expect(twice.outcome(), "reject:09")
    expect(silent.outcome(), "nop")
    expect(silent.outcome(), "close")
    sessions = wait.until(lambda: [s for s in world.daemon.rest.get("/sessions").json["items"] if s["initiator"] == NAME + "-1"] == [],
                          "the silent session is gone", 10 * world.slow)
    assert sessions


def random_pdus(count, seed=0x49):
    """B049: any operation code and flags, lengths that are kept, numbers in order."""
    def run(world):
        dice = random.Random(seed)
        done = 0
        while done < count:
            connection = Initiator(world, timeout_s=2).full(clear=False)
            for _ in range(dice.randrange(1, 60)):
                header = bytearray(dice.randbytes(48))
                header[0] = dice.choice((dice.randrange(256), p.SCSI_COMMAND, p.DATA_OUT, p.TASK_REQUEST, p.TEXT_REQUEST, p.NOP_OUT,
                                         p.LOGOUT_REQUEST)) | dice.choice((0, p.IMMEDIATE))
                header[4] = 0 if dice.random() < 0.9 else dice.randrange(256)
                header[5:8] = dice.choice((b"\0\0\0", b"\0\0\x40", b"\0\x10\0"))
                header[24:28] = connection.cmdsn.to_bytes(4, "big")
                connection.cmdsn += not header[0] & 0x40
                connection.send_or_closed(bytes(header) + dice.randbytes(int.from_bytes(header[5:8], "big") + header[4] * 4))
                done += 1
            connection.close()
            world.connections.pop()
    return run


# ---------------------------------------------------------------- split points

def conversation(world):
    """Bytes of a login and a write with digests and an odd length, and what a whole sending is answered."""
    template = Initiator(world)
    text = p.pairs(InitiatorName=NAME, TargetName=TARGET, SessionType="Normal", HeaderDigest="CRC32C", DataDigest="CRC32C")
    login = template.login_pdu(p.OPERATIONAL, p.FULL_FEATURE, text).encode()
    template.cmdsn, template.itt = 1, 1
    rest = b"".join(pdu.encode(True, True) for pdu in (
        template.pdu(p.TEXT_REQUEST, b"X-odd=1\0"), template.pdu(p.NOP_OUT, b"odd"), template.command_pdu(TUR),
        template.command_pdu(write10(600, 1), data=b"\x33" * 512), template.command_pdu(read10(600, 1), read=512)))
    return login, rest


def talk(world, login, rest, pieces):
    connection = Initiator(world)
    for piece in pieces:
        connection.send_bytes(piece if piece is not login else login[:8] + connection.isid + login[14:])
    expect(connection.word(connection.receive()), "opcode:23")
    connection.header_digest = connection.data_digest = True
    return [connection.outcome() for _ in range(5)]


def split_points(step):
    """B007: every border (each step-th) between two segments gives what the unsplit stream gives."""
    def run(world):
        login, rest = conversation(world)
        right = talk(world, login, rest, [login, rest])
        assert right[0] == "text" and right[1] == "nop", right
        for at in range(1, len(rest), step):
            got = talk(world, login, rest, [login, rest[:at], rest[at:]])
            assert got == right, (at, got)
            world.close_all()
        got = talk(world, login, rest, [login] + [rest[n:n + 1] for n in range(len(rest))])
        assert got == right, ("one byte each", got)
    return run


def cases():
    for rows, title, pdu, *right in SINGLE:
        yield Case(rows, title, one(pdu, *right))
    for part in ("header", "data"):
        for opcode, name in ((p.SCSI_COMMAND, "command"), (p.DATA_OUT, "Data-Out"), (p.TEXT_REQUEST, "Text"), (p.NOP_OUT, "NOP")):
            yield Case("B055", f"{part} digest of a {name}", digest_error(part, opcode), quiet=False)
    yield Case("B056", "digests of odd lengths", digests_of_odd_lengths)
    for title, wrong in DATA_OUT:
        yield Case("B068", title, data_out(**wrong))
    yield Case("B068", "behind the last", data_behind_the_last)
    yield Case("B068", "TTT of another task", data_of_another_task)
    yield Case("B068", "for a READ", data_for_a_read)
    yield Case("B054 B068", "another LUN", wrong_lun_in_data_out)
    yield Case("B069", "unsolicited data beyond FirstBurstLength", beyond_first_burst)
    yield Case("B069", "immediate data with ImmediateData=No", immediate_data_refused)
    yield Case("B061", "a tag twice at a time", duplicate_tag)
    yield Case("B061", "a tag again after its answer", tag_used_again)
    yield Case("B060", "CmdSN wraps", window_wraps)
    yield Case("B060", "window full behind a hole", window_full_behind_a_hole)
    yield Case("B060", "a hole that is filled", hole_that_is_filled)
    yield Case("B062", "1,000 immediate commands", immediate_flood(1000), lines=1000)
    yield Case("B062", "100,000 immediate commands", immediate_flood(100000), lines=10**6, soak=True)
    yield Case("B062", "1,000 LU resets", immediate_flood(1000, tmf=5), lines=1000)
    yield Case("B062", "100,000 LU resets", immediate_flood(100000, tmf=5), lines=10**6, soak=True)
    yield Case("B062", "1,000 warm target resets", immediate_flood(1000, tmf=6), lines=1000)
    yield Case("B058", "pings whose answers nobody reads", ping_flood(5000))
    yield Case("B065", "LU RESET by two sessions, 50 times", lu_reset_storm(50))
    yield Case("B065", "LU RESET by two sessions, 1,000 times", lu_reset_storm(1000), soak=True)
    yield Case("B063", "Logout during I/O", logout_during_io)
    yield Case("B064", "dropped with commands queued", dropped_with_commands)
    yield Case("B059", "NOP-In without an answer, with two, with a wrong one", pings_unanswered, lines=2)
    yield Case("B049", "5,000 random PDUs", random_pdus(5000), lines=100)
    yield Case("B049", "10,000,000 random PDUs", random_pdus(10_000_000, seed=0x4949), lines=100, soak=True)
    yield Case("B007", "a PDU cut at each seventh byte", split_points(7))
    yield Case("B007", "a PDU cut at each byte", split_points(1), soak=True)
