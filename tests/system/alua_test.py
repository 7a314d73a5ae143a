"""Asymmetric access over two portals, two target port groups: states by REST and by SET TARGET PORT GROUPS, as an initiator
with two paths sees them."""
import struct

from harness import process, wait
from harness.command import lunette
from harness.daemon import TARGET
from harness.registry import test
from harness.rest import quote
from iscsi_pdu import Connection as Initiator
from iscsi_pdu import Pdu
import iscsi_pdu as p

OPTIMIZED, NONOPTIMIZED, STANDBY, UNAVAILABLE, TRANSITIONING = 0, 1, 2, 3, 15
NAMES = {"active_optimized": OPTIMIZED, "active_nonoptimized": NONOPTIMIZED, "standby": STANDBY, "unavailable": UNAVAILABLE,
         "transitioning": TRANSITIONING}
GOOD, CHECK_CONDITION = 0, 2
NOT_READY, ILLEGAL_REQUEST, UNIT_ATTENTION = 2, 5, 6
NAME = "iqn.2026-11.io.lunette.test:multipath"


class Path(Initiator):
    """A session by one portal; commands one at a time."""

    def __init__(self, daemon, address, isid):
        host, _, port = address.rpartition(":")
        super().__init__(host, int(port), 10 * daemon.slow)
        self.isid = b"\x80\0\0\0\0" + bytes([isid])
        assert self.login(NAME, TARGET, ImmediateData="Yes").status == 0
        self.settle()

    def command(self, cdb, read=0, data=b""):
        """(status, sense key, ASC and ASCQ, data in)"""
        self.itt += 1
        pdu = Pdu(p.SCSI_COMMAND, data, flags=0x81 | (0x40 if read else 0) | (0x20 if data else 0), itt=self.itt,
                  edtl=read or len(data), cmdsn=self.cmdsn)
        pdu.cdb = bytes(cdb) + bytes(16 - len(cdb))
        self.cmdsn = (self.cmdsn + 1) & 0xFFFFFFFF
        self.send(pdu)
        answer = self.receive()
        if answer.opcode == p.DATA_IN:
            return GOOD, 0, 0, answer.data
        if answer.scsi_status == GOOD:
            return GOOD, 0, 0, b""
        return answer.scsi_status, answer.data[4], struct.unpack(">H", answer.data[14:16])[0], b""

    def settle(self):
        """Takes what unit attentions there are; returns their codes."""
        codes = []
        while (answer := self.ready())[1] == UNIT_ATTENTION:
            codes.append(answer[2])
        return codes

    def ready(self):
        return self.command(bytes(6))[:3]

    def read(self, lba=0):
        return self.command(struct.pack(">BBIBHB", 0x28, 0, lba, 0, 1, 0), 512)

    def tpgs(self):
        """The field of that name in INQUIRY: 1 implicit, 3 both."""
        return self.command(struct.pack(">BBBHB", 0x12, 0, 0, 96, 0), 96)[3][5] >> 4 & 3

    def report(self):
        """{group: (state, preferred, status code, [relative port identifiers])}"""
        status, *_, data = self.command(struct.pack(">BB4xI2x", 0xA3, 0x2A, 4096), 4096)
        assert status == GOOD
        assert data[4] >> 4 == 1 and data[5] > 0, data  # extended header, with the time of an implicit transition
        groups, at = {}, 8
        while at < len(data):
            state, supported, tag, _, code, _, count = struct.unpack(">BBHBBBB", data[at:at + 8])
            assert supported == 0x8F
            ports = [struct.unpack(">HH", data[at + 8 + 4 * n:at + 12 + 4 * n])[1] for n in range(count)]
            groups[tag] = (state & 15, bool(state & 0x80), code, ports)
            at += 8 + 4 * count
        return groups

    def set_group(self, tag, state):
        data = bytes(4) + struct.pack(">BBH", state, 0, tag)
        return self.command(struct.pack(">BB4xI2x", 0xA4, 0x0A, len(data)), data=data)[:3]


def two_paths(env, **target):
    daemon = env.daemon()
    second = f"127.0.0.1:{process.free_port()}"
    daemon.rest.put("/portals/second", {"address": second, "tag": 2})
    daemon.serve("vol", target_body={"portals": ["default", "second"], **target})
    return daemon, second, Path(daemon, daemon.portal(), 1), Path(daemon, second, 2)


def patch(daemon, body):
    daemon.rest.patch(f"/targets/{quote(TARGET)}", body, expect=200)


def again(daemon, address, isid):
    """A new session, as soon as the portal takes it."""
    def attempt():
        try:
            return Path(daemon, address, isid)
        except (OSError, AssertionError):
            return None

    return wait.until(attempt, "a session", 20 * daemon.slow)


@test(quick=True)
def states_set_by_rest_are_seen_and_obeyed_on_both_paths(env):
    daemon, _, one, two = two_paths(env)
    ports = daemon.rest.get(f"/targets/{quote(TARGET)}").json["relative_port_ids"]
    assert one.report() == two.report() == {tag: (OPTIMIZED, False, 0, [ports[str(tag)]]) for tag in (1, 2)}
    for name, refusal in (("active_nonoptimized", None), ("standby", 0x040B), ("unavailable", 0x040C),
                          ("transitioning", 0x040A), ("active_optimized", None)):
        patch(daemon, {"port_groups": {"2": {"state": name, "preferred": True}}})
        assert one.settle() == [0x2A06] and two.settle() == [0x2A06], name
        for path in (one, two):
            assert path.report()[2][:3] == (NAMES[name], True, 2), name
            assert path.report()[1][:2] == (OPTIMIZED, False)
        assert one.read()[0] == GOOD
        assert two.read()[:3] == ((GOOD, 0, 0) if refusal is None else (CHECK_CONDITION, NOT_READY, refusal)), name
        assert two.tpgs() == 1  # implicit only
    patch(daemon, {"alias": "something else"})
    assert one.settle() == two.settle() == []
    assert one.set_group(2, STANDBY) == (CHECK_CONDITION, ILLEGAL_REQUEST, 0x2000)


def shown(daemon):
    """{tag: (state, configured state, who set it)} as REST says."""
    items = daemon.rest.get(f"/targets/{quote(TARGET)}/port-groups").json["items"]
    return {item["id"]: (item["state"], item["configured_state"], item["set_by"]) for item in items}


@test(quick=True)
def rest_shows_the_state_in_force_whoever_set_it(env):
    daemon, _, one, two = two_paths(env, explicit_alua=True)
    usual = ("active_optimized", "active_optimized", "configuration")
    assert shown(daemon) == {"1": usual, "2": usual}
    ports = daemon.rest.get(f"/targets/{quote(TARGET)}").json["relative_port_ids"]
    items = daemon.rest.get(f"/targets/{quote(TARGET)}/port-groups").json["items"]
    assert {item["id"]: item["relative_port_id"] for item in items} == ports
    assert one.set_group(2, STANDBY) == (GOOD, 0, 0)
    assert shown(daemon) == {"1": usual, "2": ("standby", "active_optimized", "initiator")}
    words = lunette(env, daemon, "target", "paths", TARGET).stdout.splitlines()
    assert words[2].split()[:4] == ["2", "standby", "initiator", "active_optimized"], words
    patch(daemon, {"port_groups": {"2": {"state": "unavailable"}}})
    assert shown(daemon)["2"] == ("unavailable", "unavailable", "configuration")
    assert two.settle() == [0x2A06] and two.set_group(2, NONOPTIMIZED)[0] == GOOD
    assert shown(daemon)["2"] == ("active_nonoptimized", "unavailable", "initiator")
    patch(daemon, {"explicit_alua": False})
    assert shown(daemon)["2"] == ("unavailable", "unavailable", "configuration")
    daemon.rest.get("/targets/iqn.2026-11.io.lunette%3Anone/port-groups", expect=404)


@test(quick=True)
def a_state_that_an_initiator_set_survives_crash_and_restart_until_rest_says_otherwise(env):
    daemon, second, one, two = two_paths(env, explicit_alua=True)
    assert one.tpgs() == 3
    assert one.set_group(2, STANDBY) == (GOOD, 0, 0)
    assert one.settle() == [] and two.settle() == [0x2A06]
    assert two.ready() == (CHECK_CONDITION, NOT_READY, 0x040B)
    for interrupt in (lambda: daemon.kill("worker0"), daemon.restart, daemon.crash):
        one.socket.close()
        two.socket.close()
        interrupt()
        if interrupt == daemon.crash:
            daemon.start()
        one, two = again(daemon, daemon.portal(), 1), again(daemon, second, 2)
        assert one.report()[2][::2] == (STANDBY, 1) and one.report()[1][0] == OPTIMIZED
        assert two.ready() == (CHECK_CONDITION, NOT_READY, 0x040B)
    assert two.set_group(2, OPTIMIZED) == (GOOD, 0, 0) and two.ready() == (GOOD, 0, 0)
    assert one.settle() == [0x2A06]
    patch(daemon, {"port_groups": {"2": {"state": "unavailable"}}})
    assert one.settle() == [0x2A06] and one.report()[2][0] == UNAVAILABLE
    assert two.set_group(2, TRANSITIONING) == (CHECK_CONDITION, UNIT_ATTENTION, 0x2A06)
    assert two.set_group(2, TRANSITIONING) == (CHECK_CONDITION, ILLEGAL_REQUEST, 0x2600)
    assert two.set_group(3, OPTIMIZED) == (CHECK_CONDITION, ILLEGAL_REQUEST, 0x2600)


@test(quick=True)
def what_was_set_on_a_deleted_target_does_not_hold_for_its_successor(env):
    daemon, second, one, _ = two_paths(env, explicit_alua=True)
    assert one.set_group(2, STANDBY) == (GOOD, 0, 0)
    one.socket.close()
    daemon.rest.delete(f"/targets/{quote(TARGET)}?force=true")
    daemon.serve("vol", target_body={"portals": ["default", "second"], "explicit_alua": True})
    assert again(daemon, second, 3).report()[2][0] == OPTIMIZED


@test(quick=True)
def port_groups_that_cannot_be_are_refused(env):
    daemon = env.daemon()
    daemon.serve("vol")
    for body, pointer in (({"port_groups": {"0": {}}}, "/port_groups/0"), ({"port_groups": {"65536": {}}}, "/port_groups/65536"),
                          ({"port_groups": {"01": {}}}, "/port_groups/01"),
                          ({"port_groups": {"1": {"state": "offline"}}}, "/port_groups/1/state"),
                          ({"port_groups": {"1": {"state": None, "more": 1}}}, "/port_groups/1/more"),
                          ({"port_groups": {"1": {"preferred": 1}}}, "/port_groups/1/preferred"),
                          ({"explicit_alua": "yes"}, "/explicit_alua")):
        answer = daemon.rest.patch(f"/targets/{quote(TARGET)}", body, expect=422)
        assert answer.json["errors"][0]["pointer"] == pointer, (body, answer)
