"""I2, I5: a write that its initiator has given up never lands behind one that was acknowledged later (a ghost write).

The store stalls the first write to each of some blocks (fault rule "stall": the store beneath sees it late), or the worker is
stopped while writes wait at three depths. Then the initiator gives up in some way, writes the block again, and the old write
must not come through, however late.
"""
import pathlib
import signal
import time

import iscsi_pdu as p
from harness import process, wait
from harness.host import (
    ABORT_TASK, ABORT_TASK_SET, BUSY, CLEAR_TASK_SET, GOOD, LOGICAL_UNIT_RESET, TARGET_WARM_RESET, Host, write10)
from harness.registry import test
from iscsi_pdu import Pdu

STALL_MS = 700
OLD, NEW = 0x11, 0x99
LOGOUT, REINSTATE = "logout", "reinstatement"


def stalling(env, blocks):
    """A daemon with two portals whose store stalls the first write to each of the blocks."""
    daemon = env.daemon(reactors=2)
    second = f"127.0.0.1:{process.free_port()}"
    daemon.rest.put("/portals/second", {"address": second, "tag": 2})
    daemon.more_portals.append(second)
    rules = [{"op": "write", "offset": lba * 512, "length": 512, "delay_ms": STALL_MS, "stall": True} for lba in blocks]
    daemon.rest.put("/stores/stalling", {"kind": "fault", "params": {"inner": {"kind": "memory"}, "rules": rules}})
    daemon.serve("vol", 8 << 20, store="stalling", target_body={"portals": ["default", "second"]})
    return daemon


def give_up(daemon, host, how, itt):
    """Ends the command as the initiator may; returns the session to go on with."""
    c = host.connection
    if how == REINSTATE:
        host.close()
        return Host(daemon, "host")
    if how == LOGOUT:
        c.send(Pdu(p.IMMEDIATE | p.LOGOUT_REQUEST, flags=p.FINAL, itt=0x7777, cid=c.cid, cmdsn=c.cmdsn, expstatsn=c.expstatsn))
        while c.receive().opcode != p.LOGOUT_RESPONSE:  # the write may be answered before
            pass
        host.close()
        return Host(daemon, "host")
    assert host.manage(how, referenced=itt) == 0, how
    host.drain()
    return host


def write_until_good(host, lba, fill):
    """As initiators do: BUSY and unit attentions are tried again."""
    answer = wait.until(lambda: (a := host.write(lba, fill)).status not in (BUSY, 2) and a, f"a write to {lba}", 30)
    assert answer.status == GOOD, answer


@test(quick=True, timeout_s=90)
def a_write_that_was_given_up_never_lands_behind_a_later_one(env):
    ways = (ABORT_TASK, ABORT_TASK_SET, CLEAR_TASK_SET, LOGICAL_UNIT_RESET, TARGET_WARM_RESET, LOGOUT, REINSTATE)
    blocks = {how: 100 + n * 10 for n, how in enumerate(ways)}
    daemon = stalling(env, blocks.values())
    host = Host(daemon, "host")
    for how, lba in blocks.items():
        itt = host.send(write10(lba), bytes([OLD]) * 512)
        ping = host.send(bytes(6))  # behind it in the session: when this is answered, the write is in the store
        assert host.receive(ping).status == GOOD
        host = give_up(daemon, host, how, itt)
        write_until_good(host, lba, NEW)
    over = time.monotonic() + STALL_MS / 1000 * 2
    wait.until(lambda: time.monotonic() > over, "all stalls are over", 30)
    ghosts = [how for how, lba in blocks.items() if host.read(lba).data[0] != NEW]
    host.close()
    assert not ghosts, f"ghost writes after {ghosts}"


@test(quick=True, timeout_s=90)
def a_write_of_a_path_that_broke_never_lands_behind_one_of_another_path(env):
    """Multipath: the path breaks while a write stalls, with or without an end that the worker can see (a cable that was pulled);
    the host writes the block again through the other portal, or unmaps it (I11)."""
    daemon = stalling(env, range(200, 232))
    for lba, seen, unmaps in ((200, True, False), (201, False, False), (216, False, True)):
        with Host(daemon, "host", portal=1, isid=2) as other:
            broken = Host(daemon, "host")
            broken.send(write10(lba), bytes([OLD]) * 512)
            assert broken.receive(broken.send(bytes(6))).status == GOOD
            if seen:
                broken.close()
            if unmaps:
                assert other.unmap(lba, 8).status == GOOD
            else:
                write_until_good(other, lba, NEW)
            assert other.write(lba + 10, NEW).status == GOOD, "only what the old write covers has to wait"
            over = time.monotonic() + STALL_MS / 1000 * 1.5
            wait.until(lambda: time.monotonic() > over, "the stall is over", 30)
            assert other.read(lba).data[0] == (0 if unmaps else NEW), f"a ghost write at {lba}"
            broken.close()


@test(quick=True, timeout_s=60)
def a_write_of_a_host_that_died_never_lands_behind_one_of_another_host(env):
    """A cluster that fails over: the other host waits until the dead one is gone, here until the session has ended."""
    lba = 220
    daemon = stalling(env, [lba])
    with Host(daemon, "other", portal=1) as other:
        dead = Host(daemon, "dead")
        peer = "peer=127.0.0.1:%d" % dead.connection.socket.getsockname()[1]
        dead.send(write10(lba), bytes([OLD]) * 512)
        assert dead.receive(dead.send(bytes(6))).status == GOOD
        dead.close()
        wait.until(lambda: any("session ended" in line and peer in line for line in daemon.log().splitlines()), "the session ended")
        write_until_good(other, lba, NEW)
        over = time.monotonic() + STALL_MS / 1000 * 1.5
        wait.until(lambda: time.monotonic() > over, "the stall is over", 30)
        assert other.read(lba).data[0] == NEW, "a ghost write"


def drill(env, daemon, round_number):
    """PROTOCOL 2.4, 7: the worker is stopped with writes at three depths; the host goes on by its other path."""
    first = 300 + 100 * round_number
    in_socket, in_session, in_store = (range(first + n, first + n + 20) for n in (0, 30, 60))
    path = Host(daemon, "host")
    c = path.connection
    for lba in in_store:
        path.send(write10(lba), bytes([OLD]) * 512)
    ping = path.send(bytes(6))
    c.cmdsn += 1  # a hole in the sequence: what comes behind it waits in the session
    for lba in in_session:
        path.send(write10(lba), bytes([OLD]) * 512)
    assert path.receive(ping).status == GOOD
    worker = daemon.kill("worker0", signal.SIGSTOP)
    wait.until(lambda: pathlib.Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[0] == "T", "the worker stopped")
    hole, c.cmdsn = c.cmdsn, c.cmdsn - len(in_session) - 1
    path.send(bytes(6))  # fills the hole, after the worker was stopped
    c.cmdsn = hole
    for lba in in_socket:
        path.send(write10(lba), bytes([OLD]) * 512)
    path.close()
    daemon.kill("worker0", signal.SIGCONT)
    other = Host(daemon, "host", portal=1, isid=2)
    for lba in (*in_socket, *in_session, *in_store):
        write_until_good(other, lba, NEW)
    assert daemon.roles()["worker0"] == worker
    return other, (*in_socket, *in_session, *in_store)


@test(quick=True, timeout_s=120)
def a_stopped_worker_that_goes_on_makes_no_ghost_writes(env):
    daemon = stalling(env, (lba for n in range(2) for lba in range(360 + 100 * n, 380 + 100 * n)))
    for n in range(2):
        other, blocks = drill(env, daemon, n)
        over = time.monotonic() + STALL_MS / 1000 * 1.5
        wait.until(lambda over=over: time.monotonic() > over, "the stall is over", 30)
        ghosts = [lba for lba in blocks if other.read(lba).data[0] != NEW]
        other.close()
        assert not ghosts, f"ghost writes at {ghosts}"
