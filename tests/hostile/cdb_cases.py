"""Wrong CDBs and parameter lists (B071 to B089): each command ends, with the sense that its row allows."""
import random
import struct

from harness import wait
from initiator import CODE, FIELD, LENGTH, LIST, NAME, RANGE, TUR, UNASKED, Initiator, expect, read10, write10
from world import Case

CLASS = "cdb"
CLOSED = "iqn.2026-11.io.lunette:closed"
WIPED = "iqn.2026-11.io.lunette:wiped"
BLOCKS, BLOCK = (8 << 20) // 512, 512  # of the LUN
TOP = (1 << 64) - 1
SERVICE_ACTIONS = (0x5E, 0x5F, 0x7F, 0x83, 0x84, 0x9E, 0x9F, 0xA3, 0xA4)  # operation codes that have them
STOPS = {0x1B, 0x48}  # START STOP UNIT, SANITIZE: cases of their own; they change what all others see


def make(world_class, env):
    world = world_class(env)
    world.daemon.serve("closed", 1 << 20, target=CLOSED, store="memory")
    world.daemon.rest.put(f"/targets/{CLOSED}/initiators/{NAME}", {})
    world.daemon.serve("wiped", 4 << 20, target=WIPED)
    return world


def be(value, size):
    return list(int(value).to_bytes(size, "big"))


def cdb16(opcode, lba, count, flags=0):
    return [opcode, flags, *be(lba, 8), *be(count, 4), 0, 0]


def unmap(length, data, flags=0):
    return dict(cdb=[0x42, flags, 0, 0, 0, 0, 0, *be(length, 2), 0], data=data)


def unmap_list(*ranges, count=None, header=None):
    body = b"".join(struct.pack(">QII", lba, blocks, 0) for lba, blocks in ranges)
    n = len(body) if count is None else count
    return struct.pack(">HHI", header if header is not None else n + 6, n, 0) + body


def pr_out(action, type_=0, length=24, data=None, key=0, new=0, scope=0, flags=0, **more):
    data = struct.pack(">QQIBBH", key, new, 0, flags, 0, 0) if data is None else data
    return dict(cdb=[0x5F, action, scope << 4 | type_, 0, 0, *be(length, 4), 0], data=data, **more)


def transport_id(name, kind=0x45, length=None):
    body = name + bytes(-len(name) % 4)
    return bytes([kind, 0]) + (len(body) if length is None else length).to_bytes(2, "big") + body


def spec_i_pt(ids, length=None):
    """REGISTER with a list of TransportIDs."""
    n = len(ids) if length is None else length
    return pr_out(0, length=28 + len(ids), new=0x11, flags=8, data=struct.pack(">QQIBBHI", 0, 0x11, 0, 8, 0, 0, n) + ids)


ISID = b",i,0x800000010001"

# rows, title, arguments of outcome_of(), right outcomes
TABLE = [
    ("B072", "READ(16), LBA + length wraps", dict(cdb=cdb16(0x88, TOP, 2), read=1024), RANGE),
    ("B072", "WRITE(16), LBA + length wraps", dict(cdb=cdb16(0x8A, TOP, 2), data=bytes(1024)), RANGE),
    ("B072", "READ(10) of nothing at the end", dict(cdb=read10(BLOCKS, 0)), "good", RANGE),
    ("B072", "READ(10) of nothing behind the end", dict(cdb=read10(BLOCKS + 1, 0)), RANGE),
    ("B072", "READ(10) behind the end", dict(cdb=read10(BLOCKS, 1), read=512), RANGE),
    ("B072", "READ(10) over the end", dict(cdb=read10(BLOCKS - 1, 2), read=1024), RANGE),
    ("B072", "WRITE(10) over the end", dict(cdb=write10(BLOCKS - 1, 2), data=bytes(1024)), RANGE),
    ("B072", "READ(6) of 0 is 256", dict(cdb=[0x08, 0, 0, 0, 0, 0], read=256 * BLOCK), "good"),
    ("B072", "READ(16) of 2^32 - 1 blocks", dict(cdb=cdb16(0x88, 0, 0xFFFFFFFF), read=0xFFFFFFFF), RANGE, FIELD),
    ("B072", "WRITE(16) of 2^32 - 1 blocks", dict(cdb=cdb16(0x8A, 0, 0xFFFFFFFF), write=0xFFFFFFFF), RANGE, FIELD),
    ("B072", "VERIFY(16) of 2^32 - 1 blocks", dict(cdb=cdb16(0x8F, 0, 0xFFFFFFFF)), RANGE, FIELD),
    ("B072", "SYNCHRONIZE CACHE(16) wraps", dict(cdb=cdb16(0x91, TOP, 0xFFFFFFFF)), RANGE),
    ("B072", "GET LBA STATUS behind the end", dict(cdb=[0x9E, 0x12, *be(TOP, 8), *be(64, 4), 0, 0], read=64), RANGE),
    *[("B074", f"UNMAP, list of {n} bytes", unmap(n, unmap_list((0, 1))[:n] or b""), "good" if n == 0 else LENGTH) for n in range(8)],
    ("B074", "UNMAP, descriptors not of 16 bytes", unmap(31, unmap_list((0, 1))[:23] + bytes(8), 0), LENGTH, LIST, "good"),
    ("B074", "UNMAP, 65,535 bytes of descriptors announced", unmap(24, unmap_list((0, 1), count=0xFFF0, header=0xFFF6)), LIST, LENGTH, "good"),
    ("B074", "UNMAP, too many descriptors", unmap(8 + 16 * 4000, unmap_list(*[(0, 1)] * 4000)), LIST, "good"),
    ("B074", "UNMAP, LBA wraps", unmap(24, unmap_list((TOP, 2))), RANGE),
    ("B074", "UNMAP, 2^32 - 1 blocks", unmap(24, unmap_list((0, 0xFFFFFFFF))), RANGE, LIST),
    ("B074", "UNMAP, the second one is wrong", unmap(40, unmap_list((0, 1), (BLOCKS, 1))), RANGE),
    ("B074", "UNMAP, ANCHOR", unmap(24, unmap_list((0, 1)), flags=1), FIELD),
    ("B074", "UNMAP, CDB says more than comes", unmap(65535, unmap_list((0, 1))), "good", LENGTH, LIST, FIELD),
    ("B075", "WRITE SAME(16), NDOB", dict(cdb=cdb16(0x93, 0, 8, 0x01)), "good", FIELD),
    ("B075", "WRITE SAME(16), NDOB and UNMAP", dict(cdb=cdb16(0x93, 0, 8, 0x09)), "good"),
    ("B075", "WRITE SAME(16), NDOB with data", dict(cdb=cdb16(0x93, 0, 8, 0x09), data=bytes(512)), "good", FIELD),
    ("B075", "WRITE SAME(16), ANCHOR", dict(cdb=cdb16(0x93, 0, 8, 0x10), data=bytes(512)), FIELD),
    ("B075", "WRITE SAME(16) of nothing", dict(cdb=cdb16(0x93, 0, 0), data=bytes(512)), FIELD, "good"),
    ("B075", "WRITE SAME(16) of 2^32 - 1 blocks", dict(cdb=cdb16(0x93, 0, 0xFFFFFFFF), data=bytes(512)), RANGE, FIELD),
    ("B075", "WRITE SAME(16) without data", dict(cdb=cdb16(0x93, 0, 8), write=0), "check:5/*", "check:b/*"),
    ("B075", "WRITE SAME(16) with two blocks", dict(cdb=cdb16(0x93, 0, 8), data=bytes(1024)), "good", "check:5/*"),
    ("B075", "WRITE SAME(10), PBDATA and LBDATA", dict(cdb=[0x41, 6, *be(0, 4), 0, *be(8, 2), 0], data=bytes(512)), FIELD),
    ("B076", "COMPARE AND WRITE of nothing", dict(cdb=[0x89, 0, *be(0, 8), 0, 0, 0, 0, 0, 0], write=0), "good"),
    ("B076", "COMPARE AND WRITE of 255 blocks", dict(cdb=[0x89, 0, *be(0, 8), 0, 0, 0, 255, 0, 0], write=255 * 1024), FIELD, "r2t"),
    ("B076", "COMPARE AND WRITE, half of its data", dict(cdb=[0x89, 0, *be(0, 8), 0, 0, 0, 1, 0, 0], data=bytes(512)), "check:5/*", "check:b/*"),
    ("B076", "COMPARE AND WRITE over the end", dict(cdb=[0x89, 0, *be(BLOCKS, 8), 0, 0, 0, 1, 0, 0], data=bytes(1024)), RANGE),
    ("B077", "INQUIRY, page without EVPD", dict(cdb=[0x12, 0, 0x83, 0, 255, 0], read=255), FIELD),
    ("B077", "INQUIRY, CMDDT", dict(cdb=[0x12, 2, 0, 0, 255, 0], read=255), FIELD),
    ("B077", "INQUIRY, unknown page", dict(cdb=[0x12, 1, 0xEE, 0, 255, 0], read=255), FIELD),
    *[("B077", f"INQUIRY, allocation length {n}", dict(cdb=[0x12, 0, 0, *be(n, 2), 0], read=n), "good")
      for n in (0, 1, 4, 5, 35, 36, 96, 255, 65535)],
    *[("B077", f"INQUIRY, page {page:#04x}, allocation length {n}", dict(cdb=[0x12, 1, page, *be(n, 2), 0], read=n), "good")
      for page in (0, 0x80, 0x83, 0xB0) for n in (0, 1, 3, 4, 5, 65535)],
    ("B081", "REPORT LUNS, SELECT REPORT 03", dict(cdb=[0xA0, 0, 3, 0, 0, 0, *be(4096, 4), 0, 0], read=4096), FIELD),
    ("B081", "REPORT LUNS, allocation length 15", dict(cdb=[0xA0, 0, 0, 0, 0, 0, *be(15, 4), 0, 0], read=15), FIELD, "good"),
    ("B081", "REPORT LUNS of a LUN that is not there", dict(cdb=[0xA0, 0, 0, 0, 0, 0, *be(4096, 4), 0, 0], read=4096, lun=77 << 48), "good", "check:5/25/00"),
    *[("B081", f"REPORT LUNS, SELECT REPORT {n:02x}", dict(cdb=[0xA0, 0, n, 0, 0, 0, *be(4096, 4), 0, 0], read=4096), "good", FIELD)
      for n in (0, 1, 2, 0x10, 0x11, 0x12, 0xFF)],
    ("B082", "FORMAT UNIT", dict(cdb=[0x04, 0, 0, 0, 0, 0]), CODE, "good"),
    ("B082", "WRITE BUFFER, microcode", dict(cdb=[0x3B, 5, 0, 0, 0, 0, 0, 2, 0, 0], data=bytes(512)), CODE, FIELD),
    ("B082", "READ BUFFER of 2^24 - 1", dict(cdb=[0x3C, 2, 0, 0, 0, 0, 255, 255, 255, 0], read=4096), CODE, FIELD, "good"),
    ("B082", "SEND DIAGNOSTIC, a page", dict(cdb=[0x1D, 0x10, 0, 0, 4, 0], data=bytes(4)), CODE, FIELD, LIST, "check:5/*", "good"),
    ("B082", "LOG SENSE, unknown page", dict(cdb=[0x4D, 0, 0x7F, 0, 0, 0, 0, 255, 255, 0], read=65535), CODE, FIELD),
    ("B084", "PR OUT, 0 bytes", pr_out(0, length=0, data=b""), LENGTH),
    *[("B084", f"PR OUT, {n} bytes", pr_out(0, length=n), LENGTH, LIST) for n in (8, 23, 25)],
    ("B084", "PR OUT, 2^32 - 1 bytes, 24 of them come", pr_out(0, length=0xFFFFFFFF), LENGTH, LIST, FIELD),
    ("B084", "PR OUT, CDB says 24, 12 come", pr_out(0, data=bytes(12)), LENGTH, LIST, "check:b/*"),
    ("B084", "PR OUT, CDB says 24, 48 come", pr_out(6, data=bytes(48)), LENGTH, LIST, "good"),
    *[("B085", f"TransportID of length {n}", spec_i_pt(transport_id(b"iqn.x:y" + bytes(1), length=n)), LIST, LENGTH)
      for n in (0, 3, 9, 65535)],
    *[("B085", f"list of {n} bytes", spec_i_pt(transport_id(b"iqn.2026-11.x:y\0"), length=n), LIST, LENGTH) for n in (0, 1, 4, 100, 0xFFFFFFFF)],
    *[("B086", f"TransportID {text!r}", spec_i_pt(transport_id(text)), LIST) for text in (
        b"iqn.2026-11.x:y", b"iqn.2026-11.x:y\0", b"iqn.2026-11.x:y,i,0x", b"iqn.2026-11.x:y,i,0x\0", b"iqn.2026-11.x:y,i,0x8000000100011\0",
        b"iqn.2026-11.x:y,i,0x80000001000g\0", b"x" * 300 + ISID + b"\0", b",i,0x800000010001\0", b"iqn.2026-11.x:y" + ISID)],
    ("B086", "TransportID of another protocol", spec_i_pt(transport_id(bytes(20), kind=0x46)), LIST),
    ("B089", "PREEMPT with key 0", pr_out(4, 1), "status:18", LIST, FIELD),
    ("B089", "RELEASE without registration", pr_out(2, 1), "status:18"),
    ("B089", "service action 1Fh", pr_out(0x1F), FIELD),
    *[("B089", f"RESERVE of type {n}", pr_out(1, n, key=0), "status:18", FIELD) for n in (0, 2, 4, 9, 15)],
    *[("B089", f"RESERVE of scope {n}", pr_out(1, 1, scope=n), "status:18", FIELD) for n in (1, 2, 15)],
    *[("B089", f"PR IN {action}, allocation length {n}", dict(cdb=[0x5E, action, 0, 0, 0, 0, 0, *be(n, 2), 0], read=n), "good")
      for action in range(4) for n in range(9)],
    ("B089", "PR IN, unknown service action", dict(cdb=[0x5E, 0x1F, 0, 0, 0, 0, 0, 0, 255, 0], read=255), FIELD),
]


def one(given, *right):
    def run(world):
        connection = world.full(**UNASKED)
        given_now = dict(given)
        expect(connection.outcome_of(given_now.pop("cdb"), **given_now), *right)
        expect(connection.outcome_of(TUR), "good")
    return run


def finished(connection, word):
    """Gives the data that is asked for, until the command ends."""
    while word == "r2t":
        length = int.from_bytes(connection.last.header[44:48], "big")
        connection.send(connection.data_out(connection.last, bytes(length)))
        word = connection.outcome()
    return word


def every_opcode(world):
    """B071: all operation codes, all service actions of those that have any; without data, with data in, with data out."""
    connection = world.full()
    for opcode in range(256):
        if opcode in STOPS:
            continue
        for action in range(32) if opcode in SERVICE_ACTIONS else (0,):
            for given in ({}, {"read": 512}, {"data": bytes(512)}):
                word = finished(connection, connection.outcome_of([opcode, action] + [0] * 14, **given))
                assert word == "good" or word.startswith(("check:", "status:")), f"{opcode:02x}/{action:02x} {given}: {word}"
    connection.close()


def random_cdbs(count, seed):
    """B071: random CDBs, some of them with the allocation lengths and addresses that hurt."""
    def run(world):
        dice, connection = random.Random(seed), world.full()
        for _ in range(count):
            opcode = dice.randrange(256)
            if opcode in STOPS:
                continue
            cdb = [opcode] + [dice.choice((0, 0, 0xFF, dice.randrange(256))) for _ in range(15)]
            given = dice.choice(({}, {"read": dice.choice((1, 512, 65536, 0xFFFFFFFF))}, {"data": dice.randbytes(dice.choice((1, 24, 512)))}))
            word = finished(connection, connection.outcome_of(cdb, **given))
            assert word == "good" or word.startswith(("check:", "status:", "reject:")), f"{bytes(cdb).hex()} {given}: {word}"
    return run


def miscompare(world):
    """B076: the INFORMATION field says where; byte 0, 511, the last."""
    connection = world.full()
    expect(connection.outcome_of(write10(64, 2), data=bytes(1024)), "good")
    for at in (0, 511, 1023):
        wrong = bytearray(1024)
        wrong[at] = 1
        expect(connection.outcome_of([0x89, 0, *be(64, 8), 0, 0, 0, 2, 0, 0], data=bytes(wrong) + b"\xee" * 1024), "check:e/1d/00")
        assert connection.last.data[5:9] == at.to_bytes(4, "big"), (at, connection.last.data.hex())
    expect(connection.outcome_of(read10(64, 2), read=1024), "good")
    assert connection.data_in == bytes(1024)


def mode_pages(world):
    """B078: every page, subpages 0 and FF, PC, short allocation lengths; what MODE SELECT says wrongly changes nothing."""
    connection = world.full()
    expect(connection.outcome_of([0x25] + [0] * 9, read=8), "good")
    capacity = connection.data_in
    for page in range(64):
        for subpage in (0, 1, 0xFF):
            for control in range(4):
                word = connection.outcome_of([0x1A, 0, control << 6 | page, subpage, 255, 0], read=255)
                assert word in ("good", FIELD, "check:5/39/00"), (page, subpage, control, word)
    for length in range(9):
        expect(connection.outcome_of([0x1A, 0, 0x3F, 0, length, 0], read=length), "good")
        expect(connection.outcome_of([0x5A, 0, 0x3F, 0, 0, 0, 0, 0, length, 0], read=length), "good")
    for data in [bytes([0, 0, 0, n]) + bytes(20) for n in (1, 7, 8, 9, 16, 255)] + [
            bytes([0, 0, 0, 8, 0, 0, 0, 0, 0, *size]) for size in (b"\0\0\0", b"\0\0\1", b"\xff\xff\xff", b"\0\x10\0")] + [
            bytes([0, 0, 0, 0, page, length]) + b"\xff" * 20 for page in (1, 8, 0x0A, 0x1C, 0x3F, 0x7F) for length in (0, 10, 18, 255)]:
        word = connection.outcome_of([0x15, 0x10, 0, 0, len(data), 0], data=data)
        assert word in ("good", LIST, LENGTH, FIELD) or word.startswith("check:"), (data.hex(), word)
    while (word := connection.outcome_of([0x25] + [0] * 9, read=8)).startswith("check:6"):
        pass
    assert word == "good" and connection.data_in == capacity, "MODE SELECT changed the capacity"


def rsoc(world):
    """B080: each reporting option with each operation code, service actions 0, 1, 1F, FFFF."""
    connection = world.full()
    for option in range(8):
        for opcode in range(256) if option in (1, 2, 3) else (0,):
            for action in (0, 1, 0x1F, 0xFFFF):
                word = connection.outcome_of([0xA3, 0x0C, option, opcode, *be(action, 2), *be(64, 4), 0, 0], read=64)
                assert word in ("good", FIELD), (option, opcode, action, word)


OVERWRITE, BLOCK_ERASE, CRYPTOGRAPHIC, EXIT_FAILURE = 1, 2, 3, 0x1F
SANITIZES = [  # title, action, list, right outcomes
    ("overwrite without a list", OVERWRITE, b"", LENGTH, FIELD), ("overwrite, list of 3 bytes", OVERWRITE, bytes(3), LENGTH, FIELD),
    ("overwrite, no pattern", OVERWRITE, b"\x01\0\0\0", LIST, LENGTH, FIELD), ("overwrite, no pass", OVERWRITE, b"\0\0\0\4abcd", LIST),
    ("overwrite, pattern that is not there", OVERWRITE, b"\x01\0\xff\xffabcd", LIST, LENGTH, FIELD),
    ("overwrite, pattern longer than a block", OVERWRITE, b"\x01\0\x04\0" + bytes(1024), LIST, FIELD),
    ("reserved service action", 0x1E, b"", FIELD), ("block erase with a list", BLOCK_ERASE, bytes(8), FIELD, LENGTH),
    ("cryptographic erase", CRYPTOGRAPHIC, b"", FIELD, "good"), ("exit failure mode without a failure", EXIT_FAILURE, b"", "good", FIELD),
]


def sanitize_cdb(action, length=0, immediate=0x80):
    return [0x48, immediate | action, 0, 0, 0, 0, 0, *be(length, 2), 0]


def usable_again(world, connection):
    """Waits until the LUN is itself again."""
    def ended():
        word = connection.outcome_of(TUR)
        assert word in ("good", "check:2/04/1b") or word.startswith("check:6"), word
        return word == "good"
    wait.until(ended, "the sanitize has ended", 30 * world.slow)


def wrong_sanitize(action, data, *right):
    """B082: what is refused has wiped nothing."""
    def run(world):
        connection = world.full(target=WIPED, **UNASKED)
        expect(connection.outcome_of(write10(0, 1), data=b"\x77" * 512), "good")
        word = connection.outcome_of(sanitize_cdb(action, len(data)), **({"data": data} if data else {}))
        expect(word, *right)
        usable_again(world, connection)
        expect(connection.outcome_of(read10(0, 1), read=512), "good")
        assert connection.data_in == b"\x77" * 512 or word == "good", "it was refused and wiped"
    return run


def sanitize_among_others(world):
    """B082: a reservation of another stops it; one that runs shuts the LUN to all, whatever its initiator does then."""
    owner, other = world.full(target=WIPED), world.full(target=WIPED)
    expect(owner.outcome_of(**pr_out(6, new=7)), "good")
    expect(owner.outcome_of(**pr_out(1, 1, key=7)), "good")
    expect(other.outcome_of(sanitize_cdb(BLOCK_ERASE)), "status:18")
    expect(owner.outcome_of(**pr_out(3, key=7)), "good")
    usable_again(world, other)
    for how in ("reset of the LU", "RST"):
        doomed = world.full(target=WIPED)
        expect(doomed.outcome_of(write10(0, 1), data=b"\x77" * 512), "good")
        expect(doomed.outcome_of(sanitize_cdb(BLOCK_ERASE)), "good")
        word = other.outcome_of(read10(0, 1), read=512)
        assert word in ("good", "check:2/04/1b") or word.startswith("check:6"), word
        if how == "RST":
            doomed.reset()
        else:
            doomed.send(doomed.task_request(5))
            expect(doomed.outcome(), "tmf:00")
        usable_again(world, other)
        expect(other.outcome_of(read10(0, 1), read=512), "good")
        assert other.data_in == bytes(512), f"{how}: it was not wiped"


def stop_unit(world):
    """B083: what one nexus does with START STOP UNIT and PREVENT is known to the other; both are undone."""
    one_nexus, other = world.full(), world.full()
    for cdb in ([0x1E, 0, 0, 0, 1, 0], [0x1B, 0, 0, 0, 2, 0], [0x1B, 0, 0, 0, 0, 0], [0x1B, 0, 0, 0, 0xF0, 0]):
        word = one_nexus.outcome_of(cdb)
        assert word == "good" or word.startswith("check:"), word
        word = other.outcome_of(TUR)
        assert word in ("good", "check:2/04/02", "check:5/25/00") or word.startswith("check:6"), word
    for cdb in ([0x1E, 0, 0, 0, 0, 0], [0x1B, 0, 0, 0, 1, 0]):
        one_nexus.outcome_of(cdb)
    for connection in (one_nexus, other):
        while (word := connection.outcome_of(TUR)) != "good":
            assert word.startswith("check:6"), word


def reserve6_and_pr(world):
    """B083: RESERVE(6) of one, REGISTER of another; and a reservation is no way around."""
    one_nexus, other = world.full(), world.full()
    expect(one_nexus.outcome_of([0x16] + [0] * 5), "good", CODE)
    expect(other.outcome_of(**pr_out(0, new=0x22)), "status:18", "good")
    one_nexus.outcome_of([0x17] + [0] * 5)
    other.outcome_of(**pr_out(6, new=0))


def preempt_storm(world):
    """B089: two nexuses preempt each other and themselves; one reservation and no key of theirs is left after CLEAR."""
    pair = [world.full(), world.full()]
    for number, connection in enumerate(pair):
        expect(connection.outcome_of(**pr_out(6, new=number + 1)), "good")
    for turn in range(20):
        for number, connection in enumerate(pair):
            for given in (pr_out(6, new=number + 1), pr_out(1, 5, key=number + 1), pr_out(4, 5, key=number + 1, new=2 - number),
                          pr_out(5, 5, key=number + 1, new=number + 1), pr_out(6, new=number + 1)):
                word = connection.outcome_of(**given)
                assert word in ("good", "status:18", LIST, FIELD) or word.startswith("check:6"), word
    for number, connection in enumerate(pair):
        for given in (pr_out(6, new=number + 1), pr_out(3, key=number + 1)):
            while (word := connection.outcome_of(**given)).startswith("check:6"):
                pass
    assert world.daemon.rest.get("/luns/vol/reservations").json["registrations"] == []


def port_without_access(world):
    """B088: SPEC_I_PT names a port that the target does not admit: nothing is registered."""
    connection = world.full(target=CLOSED, **UNASKED)
    for name in (b"iqn.2026-11.io.lunette.test:nobody", b"iqn.2026-11.io.lunette.test:nobody" + ISID):
        expect(connection.outcome_of(**spec_i_pt(transport_id(name + b"\0"))), LIST)
    assert world.daemon.rest.get("/luns/closed/reservations").json["registrations"] == []


def many_registrations(count):
    """B089: registrations of many ports: there is a cap, the document stays bounded, and CLEAR ends it."""
    def run(world):
        made = 0
        for number in range(count):
            connection = Initiator(world, name=f"{NAME}-{number}").full()
            word = connection.outcome_of(**pr_out(6, new=number + 1))
            connection.close()
            if word != "good":
                assert word in ("check:5/55/04", "check:5/55/03"), word
                break
            made += 1
        expect(world.full().outcome_of([0x5E, 0, 0, 0, 0, 0, 0, 0, 255, 0], read=255), "good")
        world.daemon.rest.delete("/luns/vol/reservations", headers={"If-Match": "*"})
        assert made, "none was taken"
    return run


def cases():
    for rows, title, given, *right in TABLE:
        yield Case(rows, title, one(given, *right))
    yield Case("B071", "every operation code and service action", every_opcode)
    yield Case("B071", "3,000 random CDBs", random_cdbs(3000, 0x71), lines=1000)
    yield Case("B071", "1,000,000 random CDBs", random_cdbs(1_000_000, 0x7171), lines=10**6, soak=True)
    yield Case("B076", "where a comparison fails", miscompare)
    yield Case("B078", "mode pages", mode_pages)
    yield Case("B080", "REPORT SUPPORTED OPERATION CODES", rsoc)
    for title, action, data, *right in SANITIZES:
        yield Case("B082", f"SANITIZE, {title}", wrong_sanitize(action, data, *right))
    yield Case("B082", "SANITIZE beside others", sanitize_among_others)
    yield Case("B083", "START STOP UNIT and PREVENT", stop_unit)
    yield Case("B083", "RESERVE(6) beside REGISTER", reserve6_and_pr)
    yield Case("B088", "SPEC_I_PT names who is not admitted", port_without_access)
    yield Case("B089", "two that preempt each other", preempt_storm)
    yield Case("B089", "registrations of 100 ports", many_registrations(100))
