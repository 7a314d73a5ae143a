"""Persistent reservations as clusters use them: what WSFC, fence_scsi, mpathpersist and VMware send, over the wire."""
import struct
import time

from harness import process, wait
from harness.command import lunette
from harness.daemon import TARGET
from harness.host import (
    ALL_TG_PT, APTPL, CHECK_CONDITION, CLEAR, CONFLICT, EXCLUSIVE_ACCESS, GOOD, Host, PREEMPT, PREEMPT_AND_ABORT,
    REGISTER, REGISTER_AND_IGNORE, RELEASE, RESERVE, TARGET_WARM_RESET, WRITE_EXCLUSIVE, WRITE_EXCLUSIVE_AR,
    WRITE_EXCLUSIVE_RO, name_of, transport_id, write10)
from harness.registry import test

OTHER_TARGET = "iqn.2026-11.io.lunette:t2"
PREEMPTED, RESERVATION_PREEMPTED, RELEASED = 0x2A05, 0x2A03, 0x2A04
STALL_MS = 1000
INVALID_LIST = (CHECK_CONDITION, 5, 0x2600)


def two_ports(env, **options):
    """A daemon whose target has two portal groups, so two target ports."""
    daemon = env.daemon(**options)
    second = f"127.0.0.1:{process.free_port()}"
    daemon.rest.put("/portals/second", {"address": second, "tag": 2})
    daemon.more_portals.append(second)
    daemon.serve("vol", 16 << 20, target_body={"portals": ["default", "second"]})
    return daemon


def good(answer):
    assert answer.status == GOOD, answer


def refused(answer, sense=INVALID_LIST):
    assert (answer.status, answer.key, answer.asc) == sense, answer


@test(quick=True)
def windows_failover_cluster_register_reserve_defend_and_lose(env):
    """WSFC: REGISTER AND IGNORE, RESERVE type 5 with a key that changes; the owner defends, the challenger preempts."""
    daemon = two_ports(env)
    with Host(daemon, "node1") as owner, Host(daemon, "node2", portal=1) as challenger:
        for node, key in ((owner, 0x11), (challenger, 0x22)):
            good(node.pr_out(REGISTER_AND_IGNORE, service_key=key, flags=APTPL))
        good(owner.pr_out(RESERVE, WRITE_EXCLUSIVE_RO, 0x11))
        assert (owner.may(), challenger.may()) == ("rw", "rw")
        # the challenger takes its key away from the owner, waits, and finds that the owner has registered again: defended
        good(challenger.pr_out(PREEMPT, WRITE_EXCLUSIVE_RO, 0x22, 0x11))
        assert owner.drain() == [PREEMPTED] and owner.may() == "r"
        assert challenger.reservation() == (WRITE_EXCLUSIVE_RO, 0x22)
        for _ in range(3):  # the new owner's defence: read keys, reserve again
            assert challenger.keys() == [0x22]
            good(challenger.pr_out(RESERVE, WRITE_EXCLUSIVE_RO, 0x22))
        assert owner.pr_out(RESERVE, WRITE_EXCLUSIVE_RO, 0x11).status == CONFLICT
        good(owner.pr_out(REGISTER_AND_IGNORE, service_key=0x33, flags=APTPL))
        good(owner.pr_out(PREEMPT, WRITE_EXCLUSIVE_RO, 0x33, 0x22))
        assert challenger.drain() == [PREEMPTED]
        assert owner.reservation() == (WRITE_EXCLUSIVE_RO, 0x33)
        with Host(daemon, "stranger") as stranger:
            assert stranger.may() == "r"
        good(owner.pr_out(CLEAR, key=0x33))
        assert owner.keys() == [] and challenger.may() == "rw"


@test(quick=True)
def fence_scsi_cuts_a_node_off_and_lets_it_back_in(env):
    """fence_scsi: every node registers and one reserves type 5; a node is fenced by PREEMPT AND ABORT of its key."""
    daemon = two_ports(env)
    with Host(daemon, "n1") as one, Host(daemon, "n2") as two, Host(daemon, "n3", portal=1) as three:
        for node, key in ((one, 1), (two, 2), (three, 3)):
            good(node.pr_out(REGISTER_AND_IGNORE, service_key=key, flags=APTPL))
        good(one.pr_out(RESERVE, WRITE_EXCLUSIVE_RO, 1))
        before = one.generation()
        good(two.pr_out(PREEMPT_AND_ABORT, WRITE_EXCLUSIVE_RO, 2, 3))
        assert one.generation() == before + 1
        assert three.drain() == [PREEMPTED] and three.may() == "r" and one.may() == two.may() == "rw"
        assert one.reservation() == (WRITE_EXCLUSIVE_RO, 1), "the holder kept it"
        good(two.pr_out(PREEMPT_AND_ABORT, WRITE_EXCLUSIVE_RO, 2, 1))  # the holder itself
        assert one.drain() == [PREEMPTED] and one.may() == "r" and two.reservation() == (WRITE_EXCLUSIVE_RO, 2)
        assert two.pr_out(PREEMPT_AND_ABORT, WRITE_EXCLUSIVE_RO, 2, 99).status == CONFLICT
        refused(two.pr_out(PREEMPT, WRITE_EXCLUSIVE_RO, 2, 0))
        good(three.pr_out(REGISTER_AND_IGNORE, service_key=3))  # unfenced
        assert three.may() == "rw"


@test(quick=True)
def mpathpersist_registers_on_each_path_and_releases_on_the_other(env):
    """mpathpersist: one key on two paths; RELEASE through the path that does not hold is GOOD and releases nothing."""
    daemon = two_ports(env)
    with Host(daemon, "host", portal=0) as left, Host(daemon, "host", portal=1) as right, Host(daemon, "x") as stranger:
        good(left.pr_out(REGISTER, service_key=0xABC))
        assert right.pr_out(RESERVE, WRITE_EXCLUSIVE_RO, 0xABC).status == CONFLICT, "the other path is not registered"
        good(right.pr_out(REGISTER, service_key=0xABC))
        good(left.pr_out(RESERVE, WRITE_EXCLUSIVE_RO, 0xABC))
        assert right.pr_out(RESERVE, WRITE_EXCLUSIVE_RO, 0xABC).status == CONFLICT
        good(right.pr_out(RELEASE, WRITE_EXCLUSIVE_RO, 0xABC))
        assert right.reservation() == (WRITE_EXCLUSIVE_RO, 0xABC)
        ports = [(left.relative_port(), True), (right.relative_port(), False)]
        assert [(s[3], s[1]) for s in left.full_status()] == ports and ports[0][0] != ports[1][0]
        refused(left.pr_out(RELEASE, EXCLUSIVE_ACCESS, 0xABC), (CHECK_CONDITION, 5, 0x2604))
        good(left.pr_out(RELEASE, WRITE_EXCLUSIVE_RO, 0xABC))
        assert right.drain() == [RELEASED] and stranger.may() == "rw"
        good(left.pr_out(RESERVE, WRITE_EXCLUSIVE_AR, 0xABC))
        assert left.reservation() == (WRITE_EXCLUSIVE_AR, 0)
        good(right.pr_out(RELEASE, WRITE_EXCLUSIVE_AR, 0xABC))  # all registrants hold
        assert left.drain() == [RELEASED] and left.reservation() is None


@test(quick=True)
def all_target_ports_is_registered_once_for_every_path(env):
    daemon = two_ports(env)
    with Host(daemon, "host", portal=0) as left, Host(daemon, "host", portal=1) as right:
        good(right.pr_out(REGISTER, service_key=4))
        assert left.pr_out(REGISTER, service_key=5, flags=ALL_TG_PT).status == CONFLICT, "through the right it is 4"
        good(left.pr_out(REGISTER_AND_IGNORE, service_key=5, flags=ALL_TG_PT))
        assert [(s[0], s[2]) for s in left.full_status()] == [(5, True)]
        good(right.pr_out(RESERVE, WRITE_EXCLUSIVE, 5))
        assert (left.may(), right.may()) == ("rw", "rw")
        good(left.pr_out(REGISTER, key=5, service_key=0, flags=ALL_TG_PT))
        assert left.keys() == [] and left.reservation() is None


@test(quick=True)
def vmware_reserves_alone_and_resets_do_not_end_it(env):
    """Exclusive access, as for a raw device mapping; SCSI-2 RESERVE conflicts; neither session nor worker loss ends it."""
    daemon = two_ports(env)
    with Host(daemon, "esx2") as other:
        with Host(daemon, "esx1") as holder:
            good(holder.pr_out(REGISTER, service_key=7))
            good(holder.pr_out(RESERVE, EXCLUSIVE_ACCESS, 7))
            assert other.may() == "" and other.do([0x16, 0, 0, 0, 0, 0]).status == CONFLICT
            assert holder.do([0x16, 0, 0, 0, 0, 0]).status == CONFLICT, "a registration forbids RESERVE(6)"
        assert other.may() == ""
    old = daemon.kill("worker0")
    daemon.wait_for_new("worker0", old)
    with Host(daemon, "esx2") as other, Host(daemon, "esx1") as holder:
        assert other.may() == "" and holder.may() == "rw"
        good(holder.pr_out(CLEAR, key=7))
        assert other.may() == "rw"
        good(other.do([0x16, 0, 0, 0, 0, 0]))
        assert holder.pr_out(REGISTER, service_key=7).status == CONFLICT
        assert other.pr_out(REGISTER, service_key=7).status == CONFLICT, "not even the one that reserved (SPC-2 5.5.1)"


@test(quick=True)
def aptpl_survives_the_death_of_the_whole_daemon_and_without_it_nothing_does(env):
    daemon = two_ports(env)
    for aptpl in (APTPL, 0):
        with Host(daemon, "a") as a, Host(daemon, "b", portal=1) as b:
            good(b.pr_out(REGISTER_AND_IGNORE, service_key=2, flags=aptpl))
            good(a.pr_out(REGISTER_AND_IGNORE, service_key=1, flags=aptpl))
            good(a.pr_out(RESERVE, WRITE_EXCLUSIVE, 1))
            assert a.capabilities()[3] & 1 == aptpl
        daemon.crash()
        daemon.start()
        with Host(daemon, "a") as a, Host(daemon, "b", portal=1) as b:
            assert a.keys() == ([2, 1] if aptpl else []), a.keys()
            assert b.may() == ("r" if aptpl else "rw") and a.may() == "rw"
            assert a.reservation() == ((WRITE_EXCLUSIVE, 1) if aptpl else None)
            assert a.generation() == 0, "PRGENERATION starts anew with the power"


@test(quick=True)
def register_and_move_hands_over_to_a_port_of_another_target(env):
    daemon = two_ports(env)
    daemon.rest.put(f"/targets/{OTHER_TARGET.replace(':', '%3A')}", {})
    daemon.rest.put(f"/targets/{OTHER_TARGET.replace(':', '%3A')}/luns/3", {"lun": "vol"})
    daemon.serve("elsewhere", 8 << 20, target="iqn.2026-11.io.lunette:t3")
    with (Host(daemon, "from") as old, Host(daemon, "to", OTHER_TARGET, lun=3) as new,
          Host(daemon, "to", "iqn.2026-11.io.lunette:t3") as unrelated, Host(daemon, "from", portal=1) as second):
        to, port = transport_id("to", new.isid), new.relative_port()
        assert old.move(1, 9, port, to).status == CONFLICT, "not registered"
        good(old.pr_out(REGISTER, service_key=1))
        refused(old.move(1, 9, port, to), (CHECK_CONDITION, 5, 0x2400))  # nothing is reserved
        good(old.pr_out(RESERVE, WRITE_EXCLUSIVE, 1))
        refused(old.move(1, 0, port, to))
        refused(old.move(1, 9, 0, to))
        refused(old.move(1, 9, 60000, to))                       # no such port
        refused(old.move(1, 9, unrelated.relative_port(), to))   # of a target without this LUN
        refused(old.move(1, 9, second.relative_port(), transport_id("from", old.isid)))  # to itself
        refused(old.move(1, 9, port, to + to))
        assert old.keys() == [1] and old.may() == "rw"
        good(old.move(1, 9, port, to, unregister=True))
        assert new.reservation() == (WRITE_EXCLUSIVE, 9) and new.keys() == [9]
        assert (old.may(), new.may()) == ("r", "rw")


@test(quick=True)
def spec_i_pt_registers_only_who_may_come(env):
    """B085 to B088: lists that lie, names without access, all or nothing."""
    daemon = env.daemon()
    daemon.serve("vol", 16 << 20)
    target = f"/targets/{TARGET.replace(':', '%3A')}"
    for who in ("a", "b"):
        daemon.rest.put(f"{target}/initiators/{name_of(who).replace(':', '%3A')}", {})
    with Host(daemon, "a") as a, Host(daemon, "b") as b:
        b_port = transport_id("b", b.isid)
        bad_length = struct.pack(">BBH", 0x45, 0, 65532) + b_port[4:]
        for ids in ([], [transport_id("stranger", b.isid)], [b_port, transport_id("stranger")], [bad_length],
                    [b_port[:-4]], [b_port, b_port], [b"\x06" + b_port[1:]]):
            refused(a.pr_out(REGISTER, service_key=1, transport_ids=ids))
            assert a.keys() == [], ids
        refused(a.pr_out(REGISTER_AND_IGNORE, service_key=1, transport_ids=[b_port]))
        good(a.pr_out(REGISTER, service_key=1, transport_ids=[b_port]))
        assert a.keys() == [1, 1]
        refused(a.pr_out(REGISTER, key=1, service_key=2, transport_ids=[transport_id("b", b"\x80\0\0\0\0\x09")]))
        good(b.pr_out(RESERVE, WRITE_EXCLUSIVE, 1))
        assert a.may() == "r"


@test(quick=True)
def preempt_and_abort_is_good_only_when_what_it_aborts_is_quiet(env):
    """I5: a write of the preempted host stalls in the store; after GOOD it changes nothing any more."""
    daemon = env.daemon()
    daemon.rest.put("/stores/slow", {"kind": "fault", "params": {"inner": {"kind": "memory"}, "rules": [
        {"op": "write", "offset": 0, "length": 4096, "delay_ms": STALL_MS, "stall": True}]}})
    daemon.serve("vol", 8 << 20, store="slow")
    with Host(daemon, "bad") as bad, Host(daemon, "good") as fencer:
        for host, key in ((bad, 1), (fencer, 2)):
            good(host.pr_out(REGISTER, service_key=key))
        good(bad.pr_out(RESERVE, WRITE_EXCLUSIVE_RO, 1))
        began = time.monotonic()
        bad.send(write10(0), b"\xaa" * 512)
        good(bad.read(100))  # behind it in the session: so it has reached the store
        good(fencer.pr_out(PREEMPT_AND_ABORT, WRITE_EXCLUSIVE, 2, 1))
        good(fencer.write(0, 0x55))
        wait.until(lambda: time.monotonic() > began + 2 * STALL_MS / 1000, "the stall is over", 30)
        assert fencer.read(0).data == b"\x55" * 512, "a ghost write"
        assert bad.drain() == [PREEMPTED] and bad.may() == "r"


@test(quick=True)
def administrators_see_and_clear_reservations_and_it_is_audited(env):
    daemon = two_ports(env)
    with Host(daemon, "a") as a, Host(daemon, "b", portal=1) as b:
        good(b.pr_out(REGISTER, service_key=0xBEEF))
        good(a.pr_out(REGISTER, service_key=0xCAFE, flags=ALL_TG_PT | APTPL))
        good(a.pr_out(RESERVE, EXCLUSIVE_ACCESS, 0xCAFE))
        shown = daemon.rest.get("/luns/vol/reservations").json
        assert shown["type"] == "exclusive-access" and shown["aptpl"] and shown["served"] and shown["generation"] == 2, shown
        assert shown["registrations"] == [
            {"key": "0x000000000000beef", "initiator": name_of("b"), "isid": "0x800000000001",
             "target_port": b.relative_port(), "holder": False},
            {"key": "0x000000000000cafe", "initiator": name_of("a"), "isid": "0x800000000001", "target_port": None,
             "holder": True}], shown
        words = lunette(env, daemon, "lun", "reservations", "vol").stdout
        assert "0x000000000000cafe" in words and "exclusive-access" in words, words
        assert b.may() == ""
        lunette(env, daemon, "lun", "clear-reservations", "vol")
        assert b.drain() == [RESERVATION_PREEMPTED] and b.may() == "rw" and b.keys() == []
        assert daemon.rest.get("/luns/vol/reservations").json["registrations"] == []
        entries = daemon.rest.get("/audit?object=reservations:vol").json["items"]
        assert len(entries) == 1 and entries[0]["actor"], entries


@test(quick=True)
def registrations_have_a_limit_and_it_says_so(env):
    """B089: registering without end is refused with 55h/04 at the limit, and what is there still works."""
    daemon = env.daemon()
    daemon.serve("vol", 16 << 20)
    with Host(daemon, "a") as a:
        total, answer = 0, None
        while total < 100000:
            ids = [transport_id(f"h{total + n}", b"\x80\0\0\0\0\1") for n in range(90)]
            answer = a.pr_out(REGISTER, service_key=1, transport_ids=ids)
            if answer.status != GOOD:
                break
            total += 90
            good(a.pr_out(REGISTER, key=1, service_key=0))  # SPEC_I_PT is for those who are not registered
        refused(answer, (CHECK_CONDITION, 5, 0x5504))
        env.note(f"{total} registrations")
        assert total >= 900, total
        good(a.pr_out(REGISTER, service_key=2))
        good(a.pr_out(RESERVE, WRITE_EXCLUSIVE_RO, 2))
        assert len(a.keys()) == total + 1 and a.may() == "rw"
        good(a.pr_out(CLEAR, key=2))
        assert a.keys() == []


@test(quick=True)
def target_warm_reset_of_a_target_with_access_lists_ends_no_worker(env):
    """A task management function that any admitted initiator may send asked for "all LUNs" by no name, and crashed."""
    daemon = env.daemon()
    daemon.serve("vol", 16 << 20)
    daemon.rest.put(f"/targets/{TARGET.replace(':', '%3A')}/initiators/{name_of('a').replace(':', '%3A')}", {})
    worker = daemon.roles()["worker0"]
    with Host(daemon, "a") as a:
        assert a.manage(TARGET_WARM_RESET) == 0
        assert a.drain(), "a unit attention of the reset"
    assert daemon.roles()["worker0"] == worker
