"""Wrong third-party copies and tokens (B090 to B099): lists that lie, logical units and results of others, forged tokens."""
import os
import random
import struct
import time

from harness.daemon import TARGET
from initiator import FIELD, LENGTH, LIST, RANGE, TUR, UNASKED, Initiator, expect, read10, write10
from world import VICTIM, Case

CLASS = "copy"
BLOCK, SMALL = 512, (8 << 20) // 512  # blocks of LUN 0
UNREACHABLE = "check:a/0d/02"
TOO_MANY_CSCDS, TOO_MANY_SEGMENTS, UNSUPPORTED_CSCD, UNSUPPORTED_SEGMENT = (
    "check:5/26/06", "check:5/26/08", "check:5/26/07", "check:5/26/09")
OWN, SECOND = "own", "second"  # LUN 0 and LUN 1 of TARGET


def make(world_class, env):
    world = world_class(env)
    world.daemon.serve("large", 1 << 40, number=1, store="null")
    world.ids = {OWN: naa(world, TARGET, 0), SECOND: naa(world, TARGET, 1), "victim": naa(world, VICTIM, 0)}
    return world


def naa(world, target, lun):
    connection = world.full(target=target)
    expect(connection.outcome_of([0x12, 1, 0x83, 1, 0, 0], read=256, lun=lun << 48), "good")
    at, page = 4, connection.data_in
    while page[at + 1] & 0x3F != 3:
        at += 4 + page[at + 3]
    return page[at + 4:at + 4 + page[at + 3]]


# ---------------------------------------------------------------- lists

def cscd(designator, code=0xE4, kind=3, device_type=0, length=None, block=0):
    return struct.pack(">BBHBBBB", code, device_type, 0, 1, kind, 0, len(designator) if length is None else length) + \
        designator[:20].ljust(20, b"\0") + bytes([0]) + block.to_bytes(3, "big")


def segment(blocks=8, source=0, destination=0, source_lba=0, destination_lba=64, code=2, length=0x18, flags=0):
    return struct.pack(">BBHHHHHQQ", code, flags, length, source, destination, 0, blocks, source_lba, destination_lba)


def lid1(cscds, segments, identifier=1, cscd_bytes=None, segment_bytes=None, inline=0, usage=0):
    head = struct.pack(">BBHIII", identifier, usage << 3, len(cscds) if cscd_bytes is None else cscd_bytes, 0,
                       len(segments) if segment_bytes is None else segment_bytes, inline)
    return head + cscds + segments


def lid4(cscds, segments, identifier=1, header=0x20, kind=0xFF):
    head = bytearray(48)
    head[0], head[16] = 1, kind
    head[2:4], head[20:24] = header.to_bytes(2, "big"), identifier.to_bytes(4, "big")
    head[42:48] = struct.pack(">HHH", len(cscds), len(segments), 0)
    return bytes(head) + cscds + segments


def ranges(*pairs):
    return b"".join(struct.pack(">QII", lba, blocks, 0) for lba, blocks in pairs)


def populate(pairs, length=None, range_bytes=None, inactivity=0, rod=0, flags=0):
    body = ranges(*pairs)
    total = 14 + len(body) if length is None else length
    return struct.pack(">HBBIIHH", total, flags, 0, inactivity, rod, 0, len(body) if range_bytes is None else range_bytes) + body


def write_using(token, pairs, offset=0, length=None, range_bytes=None):
    body = ranges(*pairs)
    total = 534 + len(body) if length is None else length
    return struct.pack(">HBBIQ", total, 0, 0, 0, offset) + token + bytes(6) + \
        struct.pack(">H", len(body) if range_bytes is None else range_bytes) + body


def third_party(action, data, length=None, identifier=1, **more):
    """Arguments of outcome_of() for an operation code of 83h."""
    size = len(data) if length is None else length
    head = identifier.to_bytes(4, "big") if action >= 0x10 else bytes(4)
    return dict(cdb=[0x83, action, 0, 0, 0, 0, *head, *size.to_bytes(4, "big"), 0, 0], data=data, **more)


def receive(action, identifier, length=1024):
    where = identifier.to_bytes(4, "big") if action in (5, 7) else bytes([identifier, 0, 0, 0])
    return dict(cdb=[0x84, action, *where, 0, 0, 0, 0, *length.to_bytes(4, "big"), 0, 0], read=length)


def both(name):
    """A function of the world: the list with the descriptor of OWN, or of another."""
    return lambda world: cscd(world.ids[name])


OWN_CSCD, VICTIM_CSCD, SECOND_CSCD = both(OWN), both("victim"), both(SECOND)
# rows, title, function of the world that gives arguments of outcome_of(), right outcomes
TABLE = [
    ("B090", "LUN of another tenant as source", lambda w: third_party(0, lid1(OWN_CSCD(w) + VICTIM_CSCD(w), segment(source=1))), UNREACHABLE),
    ("B090", "LUN of another tenant as destination", lambda w: third_party(0, lid1(OWN_CSCD(w) + VICTIM_CSCD(w), segment(destination=1))), UNREACHABLE),
    ("B090", "the same by LID4", lambda w: third_party(1, lid4(OWN_CSCD(w) + VICTIM_CSCD(w), segment(destination=1))), UNREACHABLE),
    ("B090", "an identifier of nobody", lambda w: third_party(0, lid1(cscd(b"\x6f" + bytes(15)), segment())), UNREACHABLE),
    ("B090", "an identifier cut short", lambda w: third_party(0, lid1(cscd(w.ids[OWN], length=8), segment())), UNREACHABLE, LIST),
    ("B090", "an identifier of 255 bytes", lambda w: third_party(0, lid1(cscd(w.ids[OWN], length=255), segment())), LIST, LENGTH),
    ("B090", "an identifier of no byte", lambda w: third_party(0, lid1(cscd(b""), segment())), UNREACHABLE, LIST),
    ("B090", "T10 identifier of chance", lambda w: third_party(0, lid1(cscd(b"LUNETTE " + b"%n%s\x1b[0m" * 2, kind=1), segment())), UNREACHABLE, LIST),
    ("B090", "EUI-64", lambda w: third_party(0, lid1(cscd(bytes(8), kind=2), segment())), UNREACHABLE),
    ("B090", "a tape", lambda w: third_party(0, lid1(cscd(w.ids[OWN], device_type=1), segment())), "check:a/0d/*", LIST),
    ("B090", "another block size", lambda w: third_party(0, lid1(cscd(w.ids[OWN], block=4096), segment())), LIST),
    ("B091", "one descriptor, both sides", lambda w: third_party(0, lid1(OWN_CSCD(w), segment())), "good"),
    ("B091", "one descriptor, both sides, LID4", lambda w: third_party(1, lid4(OWN_CSCD(w), segment())), "good"),
    ("B093", "no descriptor", lambda w: third_party(0, lid1(b"", segment())), UNREACHABLE, LIST),
    ("B093", "descriptor FFFFh", lambda w: third_party(0, lid1(OWN_CSCD(w), segment(source=0xFFFF))), UNREACHABLE, LIST),
    ("B093", "descriptor F800h (null)", lambda w: third_party(0, lid1(OWN_CSCD(w), segment(destination=0xF800))), UNREACHABLE, LIST),
    ("B093", "descriptor behind the last", lambda w: third_party(0, lid1(OWN_CSCD(w), segment(destination=1))), UNREACHABLE, LIST),
    ("B094", "list of 0 bytes", lambda w: third_party(0, b""), "good"),
    *[("B094", f"list of {n} bytes", lambda w, n=n: third_party(0, lid1(OWN_CSCD(w), segment())[:n]), LENGTH, LIST) for n in (1, 15, 16 + 31, 16 + 32 + 27)],
    *[("B094", f"LID4 list of {n} bytes", lambda w, n=n: third_party(1, lid4(OWN_CSCD(w), segment())[:n]), LENGTH, LIST) for n in (1, 16, 47, 48 + 31)],
    ("B094", "descriptors not of 32 bytes", lambda w: third_party(0, lid1(OWN_CSCD(w), segment(), cscd_bytes=33)), LENGTH),
    ("B094", "descriptors of 65,504 bytes announced", lambda w: third_party(0, lid1(OWN_CSCD(w), segment(), cscd_bytes=65504)), LENGTH, TOO_MANY_CSCDS),
    ("B094", "segments of 2^32 - 1 bytes announced", lambda w: third_party(0, lid1(OWN_CSCD(w), segment(), segment_bytes=0xFFFFFFFF)), LENGTH, TOO_MANY_SEGMENTS),
    ("B094", "segments of 27 bytes", lambda w: third_party(0, lid1(OWN_CSCD(w), segment(), segment_bytes=27)), LENGTH, LIST),
    ("B094", "inline data of 2^32 - 1 bytes", lambda w: third_party(0, lid1(OWN_CSCD(w), segment(), inline=0xFFFFFFFF)), "check:5/26/0b"),
    ("B094", "65 segments", lambda w: third_party(0, lid1(OWN_CSCD(w), segment() * 65)), TOO_MANY_SEGMENTS, LENGTH),
    ("B094", "17 descriptors", lambda w: third_party(0, lid1(OWN_CSCD(w) * 17, segment())), TOO_MANY_CSCDS, LENGTH),
    ("B094", "segment of an unknown type", lambda w: third_party(0, lid1(OWN_CSCD(w), segment(code=0xEE))), UNSUPPORTED_SEGMENT),
    ("B094", "descriptor of an unknown type", lambda w: third_party(0, lid1(cscd(w.ids[OWN], code=0xEE), segment())), UNSUPPORTED_CSCD),
    ("B094", "segment that says to be long", lambda w: third_party(0, lid1(OWN_CSCD(w), segment(length=0xFFFF))), LIST, LENGTH),
    ("B094", "segment that says to be short", lambda w: third_party(0, lid1(OWN_CSCD(w), segment(length=0))), LIST, LENGTH),
    ("B094", "LID4, header of CSCDs of 0 bytes", lambda w: third_party(1, lid4(OWN_CSCD(w), segment(), header=0)), LIST),
    ("B094", "LID4, header of another kind", lambda w: third_party(1, lid4(OWN_CSCD(w), segment(), kind=0)), LIST),
    ("B094", "a list of 2^32 - 1 bytes", lambda w: third_party(0, lid1(OWN_CSCD(w), segment()), length=0xFFFFFFFF), LENGTH, LIST, FIELD, "good"),
    ("B094", "LIST ID USAGE reserved", lambda w: third_party(0, lid1(OWN_CSCD(w), segment(), usage=1)), LIST),
    ("B095", "onto itself, forwards", lambda w: third_party(0, lid1(OWN_CSCD(w), segment(64, source_lba=0, destination_lba=8))), "good"),
    ("B095", "onto itself, backwards", lambda w: third_party(0, lid1(OWN_CSCD(w), segment(64, source_lba=8, destination_lba=0))), "good"),
    ("B095", "onto itself, the same place", lambda w: third_party(0, lid1(OWN_CSCD(w), segment(64, source_lba=8, destination_lba=8))), "good"),
    ("B095", "source behind the end", lambda w: third_party(0, lid1(OWN_CSCD(w), segment(source_lba=SMALL))), "check:a/*", RANGE),
    ("B095", "destination over the end", lambda w: third_party(0, lid1(OWN_CSCD(w), segment(destination_lba=SMALL - 1))), "check:a/*", RANGE),
    ("B095", "source LBA wraps", lambda w: third_party(0, lid1(OWN_CSCD(w), segment(source_lba=(1 << 64) - 1))), "check:a/*", RANGE),
    ("B095", "no blocks", lambda w: third_party(0, lid1(OWN_CSCD(w), segment(0))), "good"),
    ("B095", "65,535 blocks of 16,384", lambda w: third_party(0, lid1(OWN_CSCD(w), segment(65535))), "check:a/*", RANGE, LIST),
    ("B097", "status of nothing", lambda w: receive(0, 77), FIELD), ("B097", "status of nothing, LID4", lambda w: receive(5, 77777), FIELD),
    ("B097", "failed segment details of nothing", lambda w: receive(4, 77), FIELD),
    ("B097", "token of nothing", lambda w: receive(7, 7777), FIELD),
    ("B097", "parameters in 3 bytes", lambda w: receive(3, 0, 3), "good"),
    *[("B099", f"POPULATE TOKEN, list of {n} bytes", lambda w, n=n: third_party(0x10, populate([(0, 8)])[:n]), LENGTH, LIST) for n in (0, 1, 15, 16, 31)],
    ("B099", "POPULATE TOKEN, no range", lambda w: third_party(0x10, populate([])), LIST, LENGTH),
    ("B099", "POPULATE TOKEN, ranges of 65,535 bytes", lambda w: third_party(0x10, populate([(0, 8)], range_bytes=65535)), LIST, LENGTH, TOO_MANY_SEGMENTS),
    ("B099", "POPULATE TOKEN, 65 ranges", lambda w: third_party(0x10, populate([(n * 8, 8) for n in range(65)])), TOO_MANY_SEGMENTS, LIST),
    ("B099", "POPULATE TOKEN, ranges that overlap", lambda w: third_party(0x10, populate([(0, 8), (7, 8)])), LIST),
    ("B099", "POPULATE TOKEN, LBA wraps", lambda w: third_party(0x10, populate([((1 << 64) - 1, 2)])), RANGE),
    ("B099", "POPULATE TOKEN, over the end", lambda w: third_party(0x10, populate([(SMALL - 1, 2)])), RANGE),
    ("B099", "POPULATE TOKEN, no blocks", lambda w: third_party(0x10, populate([(5, 0)])), "good", LIST),
    ("B099", "POPULATE TOKEN, no blocks at the end", lambda w: third_party(0x10, populate([(SMALL, 0)])), "good", LIST, RANGE),
    ("B099", "POPULATE TOKEN, for 2^32 - 1 seconds", lambda w: third_party(0x10, populate([(0, 8)], inactivity=0xFFFFFFFF)), LIST),
    ("B099", "POPULATE TOKEN, length lies", lambda w: third_party(0x10, populate([(0, 8)], length=0xFFFF)), LIST, LENGTH),
    ("B099", "WRITE USING TOKEN, zeroes", lambda w: third_party(0x11, write_using(bytes(512), [(0, 8)])), "check:5/23/*"),
    ("B099", "WRITE USING TOKEN, chance", lambda w: third_party(0x11, write_using(os.urandom(512), [(0, 8)])), "check:5/23/*"),
    ("B099", "WRITE USING TOKEN, a list of 535 bytes", lambda w: third_party(0x11, write_using(bytes(512), [(0, 8)])[:535]), LENGTH, LIST),
]


def one(given, *right):
    def run(world):
        connection = world.full(**UNASKED)
        arguments = dict(given(world))
        if arguments.get("data") == b"":
            arguments["write"] = 0
        expect(connection.outcome_of(arguments.pop("cdb"), **arguments), *right)
        assert connection.alive()
    return run


def result_of_another(world):
    """B097: the result of a copy is its nexus' own."""
    mine, other = world.full(**UNASKED), world.full(**UNASKED)
    expect(mine.outcome_of(**third_party(0, lid1(cscd(world.ids[OWN]), segment(), identifier=9))), "good")
    expect(other.outcome_of(**receive(0, 9)), FIELD)
    expect(mine.outcome_of(**receive(0, 9)), "good")


def many_results(world):
    """B097: as many list identifiers as there are: what is remembered is bounded."""
    connection = world.full(**UNASKED)
    for identifier in range(1000):
        word = connection.outcome_of(**third_party(1, lid4(cscd(world.ids[OWN]), segment(1), identifier=identifier)))
        assert word in ("good", LIST, "status:08"), (identifier, word)


def copy_is_ended(how):
    """B098: a copy of a terabyte ends with a reset, an abort, or its connection; others use the LUN meanwhile."""
    def run(world):
        connection, other = world.full(**UNASKED), world.full(**UNASKED)
        segments = b"".join(segment(65535, destination_lba=(1 + n) * 65536) for n in range(64))
        for identifier in range(3):
            connection.command(**third_party(0, lid1(cscd(world.ids[SECOND]), segments, identifier=identifier), lun=1 << 48))
        expect(other.outcome_of(TUR, lun=1 << 48), "good", "check:6/*")
        started = time.monotonic()
        if how == "drop":
            connection.reset()
        else:
            connection.send(connection.task_request(how, lun=1 << 48))
            words = []
            while not words or words[-1] != "tmf:00":
                words.append(connection.outcome())
        while (word := other.outcome_of(read10(0, 8), read=4096, lun=1 << 48)) != "good":
            assert word.startswith("check:6"), word
        assert time.monotonic() - started < 10 * world.slow
    return run


def token_of(connection, pairs, identifier=5):
    expect(connection.outcome_of(**third_party(0x10, populate(pairs, inactivity=60), identifier=identifier)), "good")
    expect(connection.outcome_of(**receive(7, identifier, 2048)), "good")
    return connection.data_in[-512:]


def forged_tokens(world):
    """B099: each byte of a token counts; the token of another tenant is unknown; one whose data was overwritten is none."""
    mine = world.full(**UNASKED)
    token = token_of(mine, [(0, 8)])
    for at in [*range(0, 512, 37), 511]:
        wrong = bytearray(token)
        wrong[at] ^= 1
        expect(mine.outcome_of(**third_party(0x11, write_using(bytes(wrong), [(64, 8)]), identifier=6)), "check:5/23/*")
    tenant = Initiator(world).full(target=VICTIM, **UNASKED)
    expect(tenant.outcome_of(**third_party(0x11, write_using(token, [(30000, 8)]), identifier=6)), "check:5/23/*")
    for given, right in ((write_using(token, [(64, 9)]), (LIST,)), (write_using(token, [(64, 8)], offset=1), (LIST,)),
                         (write_using(token, [(64, 8)], offset=(1 << 64) - 1), (LIST,)), (write_using(token, [(SMALL, 8)]), (RANGE,)),
                         (write_using(token, [(64, 4), (66, 4)]), (LIST,)), (write_using(token, [(64, 8)]), ("good",))):
        expect(mine.outcome_of(**third_party(0x11, given, identifier=7)), *right)
    expect(mine.outcome_of(write10(4, 1), data=bytes(512)), "good")
    expect(mine.outcome_of(**third_party(0x11, write_using(token, [(64, 8)]), identifier=8)), "check:5/23/*")


def many_tokens(world):
    """B099: more tokens than a logical unit keeps: the rest is refused, the LUN works on."""
    connection, words = world.full(**UNASKED), set()
    for number in range(200):
        words.add(connection.outcome_of(**third_party(0x10, populate([(number * 8, 8)], inactivity=2), identifier=number)))
    assert "good" in words and len(words) == 2 and all(w == "good" or w.startswith("check:5/") for w in words), words
    for lba in range(0, 1600, 128):  # what was refused, or is valid still, is in nobody's way
        expect(connection.outcome_of(write10(lba, 128), data=bytes(128 * BLOCK)), "good")


def random_lists(count, seed):
    """Good lists with bytes changed, cut, made longer."""
    def run(world):
        dice, connection = random.Random(seed), world.full(**UNASKED)
        good = [(0, lid1(cscd(world.ids[OWN]) + cscd(world.ids[SECOND]), segment() + segment(destination=1))),
                (1, lid4(cscd(world.ids[OWN]), segment())), (0x10, populate([(0, 8), (64, 8)])),
                (0x11, write_using(os.urandom(512), [(0, 8)]))]
        for _ in range(count):
            action, data = dice.choice(good)
            data = bytearray(data)
            for _ in range(dice.randrange(1, 5)):
                data[dice.randrange(min(len(data), 120))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
            if dice.random() < 0.2:
                del data[dice.randrange(len(data)):]
            word = connection.outcome_of(**third_party(action, bytes(data), identifier=dice.randrange(300), write=len(data)))
            assert word == "good" or word.startswith(("check:", "status:")), (action, bytes(data).hex(), word)
            if dice.random() < 0.2:
                word = connection.outcome_of(**receive(dice.randrange(8), dice.randrange(256), dice.choice((0, 1, 31, 32, 600))))
                assert word == "good" or word.startswith("check:"), word
    return run


def cases():
    for rows, title, given, *right in TABLE:
        yield Case(rows, title, one(given, *right), lines=2)
    yield Case("B097", "the result of another nexus", result_of_another)
    yield Case("B097", "results of 1,000 copies", many_results)
    for title, how in (("LU RESET", 5), ("ABORT TASK SET", 2), ("RST", "drop")):
        yield Case("B098", f"a terabyte, then {title}", copy_is_ended(how))
    yield Case("B099", "forged, foreign and overwritten tokens", forged_tokens)
    yield Case("B099", "200 tokens", many_tokens)
    yield Case("B090 B094 B099", "1,000 lists with bytes changed", random_lists(1000, 0x94))
    yield Case("B090 B094 B099", "300,000 lists with bytes changed", random_lists(300_000, 0x9494), soak=True)
