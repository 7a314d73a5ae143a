"""Discovery, login, authentication, digests and the negotiation matrix, as open-iscsi does them."""
import itertools
import random

from harness.registry import test
from harness.rest import quote
from machine.linux import ADDRESSES, PORT

TARGET = "iqn.2026-11.io.lunette:login"
CHAP = ("guest", "what-the-guest-knows")
MUTUAL = ("lunette", "what-the-target-knows")
LENGTHS = (4096, 8192, 16384, 32768, 65536, 131972)
SOME_LENGTHS = (4096, 8192, 65536, 131972)
REFUSED = (19, 24)  # exit statuses of iscsiadm: a login failure that it does not try again, an authorization failure

# What open-iscsi's own tests vary, under its names. FirstBurst > MaxBurst is offered too: a target has to cope.
MATRIX = {
    "node.session.iscsi.InitialR2T": ("Yes", "No"),
    "node.session.iscsi.ImmediateData": ("Yes", "No"),
    "node.conn[0].iscsi.HeaderDigest": ("None", "CRC32C", "CRC32C,None"),
    "node.conn[0].iscsi.DataDigest": ("None", "CRC32C", "None,CRC32C"),
    "node.session.iscsi.FirstBurstLength": LENGTHS,
    "node.session.iscsi.MaxBurstLength": LENGTHS,
    "node.conn[0].iscsi.MaxRecvDataSegmentLength": LENGTHS,
    "node.session.iscsi.MaxOutstandingR2T": (1, 4),
}
BATCH = 36
DISK_BYTES = 1 << 20
RANDOM_OPERATIONS = 4


def pairs(row):
    """All pairs of (place, value) of one row of the matrix."""
    return set(itertools.combinations(enumerate(row), 2))


def pairwise(seed=4):
    """Rows such that every pair of values of two members is in at least one: greedy, with the same dice every time."""
    dice = random.Random(seed)
    columns = [SOME_LENGTHS if values is LENGTHS else values for values in MATRIX.values()]
    left = set().union(*(itertools.product([(a, v) for v in va], [(b, w) for w in vb])
                         for (a, va), (b, vb) in itertools.combinations(enumerate(columns), 2)))
    rows = []
    while left:
        begun = min(left, key=repr)
        tried = []
        for _ in range(60):
            row = [dice.choice(values) for values in columns]
            for place, value in begun:
                row[place] = value
            tried.append((len(left & pairs(row)), row))
        rows.append(max(tried, key=lambda one: one[0])[1])
        left -= pairs(rows[-1])
    return rows


@test(timeout_s=300)
def discovery_finds_every_portal_of_the_target_and_login_finds_its_disks(env):
    daemon = env.daemon()
    env.serve(daemon, "vol0", TARGET, paths=2)
    env.serve(daemon, "vol7", TARGET, number=7)
    env.serve(daemon, "other", "iqn.2026-11.io.lunette:second-portal")
    found = env.discover()
    assert {(f"{address}:{PORT},1", TARGET) for address in ADDRESSES} < set(found), found
    env.login(TARGET)
    for address, number in itertools.product(ADDRESSES, (0, 7)):
        assert env.disk(TARGET, number, address).startswith("/dev/sd")
    serial = daemon.rest.get("/luns/vol7").json["serial"]
    assert serial in env.guest.run(f"sg_vpd -p sn {env.disk(TARGET, 7)}")


@test(timeout_s=300)
def chap_and_mutual_chap_admit_who_knows_and_nobody_else(env):
    env.may_lose_paths = True  # a refused login is a lost connection to the kernel
    daemon = env.daemon()
    env.serve(daemon, "vol", TARGET)
    path = f"/targets/{quote(TARGET)}"
    member = "node.session.auth."
    daemon.rest.patch(path, {"auth": {"chap": {"user": CHAP[0], "secret": CHAP[1]}}})
    env.discover()
    assert env.login(TARGET, check=False).status in REFUSED, "without CHAP"
    env.configure({TARGET: {member + "authmethod": "CHAP", member + "username": CHAP[0], member + "password": "what-nobody-knows"}})
    assert env.login(TARGET, check=False).status in REFUSED, "with a wrong secret"
    env.configure({TARGET: {member + "password": CHAP[1]}})
    env.login(TARGET)
    env.logout(TARGET)
    daemon.rest.patch(path, {"auth": {"mutual": {"user": MUTUAL[0], "secret": MUTUAL[1]}}})
    env.configure({TARGET: {member + "username_in": MUTUAL[0], member + "password_in": "not-the-right-one"}})
    assert env.login(TARGET, check=False).status in REFUSED, "the target proved a wrong secret"
    env.configure({TARGET: {member + "password_in": MUTUAL[1]}})
    env.login(TARGET)
    env.verified([env.disk(TARGET)], "--operations", 20)


def check_negotiated(row, shown):
    """The result functions of RFC 7143 section 13 on what both sides offered (ours: the defaults of a target)."""
    offer = dict(zip(MATRIX, row))
    burst = min(offer["node.session.iscsi.MaxBurstLength"], 1 << 20)
    expected = {
        "initial_r2t": int(offer["node.session.iscsi.InitialR2T"] == "Yes"),
        "immediate_data": int(offer["node.session.iscsi.ImmediateData"] == "Yes"),
        "header_digest": int(offer["node.conn[0].iscsi.HeaderDigest"].startswith("CRC32C")),
        "data_digest": int(offer["node.conn[0].iscsi.DataDigest"].startswith("CRC32C")),
        "max_burst_len": burst,
        "max_recv_dlength": offer["node.conn[0].iscsi.MaxRecvDataSegmentLength"],
        "max_outstanding_r2t": min(offer["node.session.iscsi.MaxOutstandingR2T"], 4),
    }
    for name, value in expected.items():
        assert int(shown[name]) == value, (name, row, shown)
    if (expected["initial_r2t"], expected["immediate_data"]) != (1, 0):  # then FirstBurstLength means nothing
        assert int(shown["first_burst_len"]) <= min(burst, offer["node.session.iscsi.FirstBurstLength"]), (row, shown)


def edges(row):
    """Where a transfer under this row goes on in another way: segment, first burst, burst, first burst and one more."""
    offer = dict(zip(MATRIX, row))
    burst = offer["node.session.iscsi.MaxBurstLength"]
    first = min(burst, offer["node.session.iscsi.FirstBurstLength"])
    return sorted({offer["node.conn[0].iscsi.MaxRecvDataSegmentLength"], first, burst, first + burst})


def some_combinations(env, daemon, targets, seed):
    """All targets at once, {name: row}: written and read back, lengths up to each edge of the row and one sector more, then
    some at random."""
    for target in targets:
        env.serve(daemon, target.rpartition(":")[2], target, size_bytes=DISK_BYTES, store="memory")
    env.discover()
    env.configure({target: dict(zip(MATRIX, row)) for target, row in targets.items()})
    env.login()
    sessions = env.sessions(len(targets))
    for target, row in targets.items():
        check_negotiated(row, sessions[target])
    env.verified([",".join((sessions[target]["disk"], *map(str, edges(row)))) for target, row in targets.items()],
                 "--threads", 1, "--operations", RANDOM_OPERATIONS, "--seed", seed)
    env.guest.run("iscsiadm -m node --logout; rm -rf /etc/iscsi/nodes", timeout_s=120)
    for target in targets:
        daemon.rest.delete(f"/targets/{quote(target)}?force=true")
        daemon.rest.delete(f"/luns/{target.rpartition(':')[2]}")


def matrix(env, rows):
    daemon = env.daemon()
    with env.without_udev():
        for begin in range(0, len(rows), BATCH):
            targets = {f"{TARGET}{begin + at}": row for at, row in enumerate(rows[begin:begin + BATCH])}
            some_combinations(env, daemon, targets, seed=begin + 1)
    env.note(f"{len(rows)} combinations")


@test(timeout_s=300)
def every_pair_of_negotiated_values_moves_data_right(env):
    matrix(env, pairwise())


@test(timeout_s=7200, nightly=True)
def every_combination_of_negotiated_values_moves_data_right(env):
    """All of R2T, immediate data and digests; for the lengths, every pair of first burst and maximum burst."""
    dice = random.Random(5)
    rows = [[r2t, immediate, header, data, first, burst, dice.choice(LENGTHS), dice.choice((1, 4))]
            for r2t, immediate, header, data, first, burst in itertools.product(*list(MATRIX.values())[:6])]
    matrix(env, rows)
