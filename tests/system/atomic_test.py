"""WRITE ATOMIC(16) under fire: a worker, or all of the daemon, is killed while such writes run; none is ever torn."""
import contextlib
import threading

from harness import wait
from harness.iscsi import Connection
from harness.registry import test

BLOCKS, LBA = 256, 2048 - 100
READ16, WRITE_ATOMIC16 = 0x88, 0x9C


def cdb(opcode, count_at):
    made = bytearray(16)
    made[0] = opcode
    made[2:10] = LBA.to_bytes(8, "big")
    made[count_at:14] = BLOCKS.to_bytes(14 - count_at, "big")
    return bytes(made)


def read_value(daemon):
    """The one value of all bytes; an assertion when there are several, None when nobody serves."""
    try:
        connection = Connection(daemon).login().clear_attentions()
    except (OSError, AssertionError):
        return None
    connection.command(cdb(READ16, 10), 0xC0, BLOCKS * 512)
    data = b""
    while len(data) < BLOCKS * 512:
        pdu = connection.receive()
        assert pdu.opcode == 0x25, pdu
        data += pdu.data
    connection.close()
    assert len(set(data)) == 1, f"torn: {sorted(set(data))}, {[data.index(v) for v in set(data)]}"
    return data[:1]


def write_until_it_ends(daemon, value):
    """Atomic writes of growing values until the connection breaks: (the last acknowledged, the one that was under way)."""
    connection = Connection(daemon).login(ImmediateData="Yes", InitialR2T="No", FirstBurstLength="262144",
                                          MaxBurstLength="262144").clear_attentions()
    acknowledged = value
    with contextlib.suppress(OSError):
        while True:
            value = value % 250 + 1
            connection.command(cdb(WRITE_ATOMIC16, 12), 0xA0, BLOCKS * 512, data=bytes([value]) * (BLOCKS * 512))
            answer = connection.answer()
            assert answer.status == 0, answer
            acknowledged = value
    connection.close()
    return acknowledged, value


def tear(env, kill, revive, rounds):
    """Each round kills while atomic writes run, a little later each time; what is read then is one of two whole writes."""
    daemon = env.daemon()
    daemon.serve("vol", 32 << 20, target_object_size_bytes=1 << 20)  # the range lies on the border of two objects
    value, outcomes = 0, {"as before": 0, "as written": 0}
    for number in range(rounds):
        ended = threading.Timer(0.1 + 0.03 * number, kill, [daemon])
        ended.start()
        acknowledged, tried = write_until_it_ends(daemon, value)
        ended.join()
        revive(daemon)
        value = wait.until(lambda: read_value(daemon), "the LUN is served again", 20 * env.slow)[0]
        assert value in (acknowledged, tried), (value, acknowledged, tried)
        outcomes["as written" if value == tried else "as before"] += 1
    env.note(f"the write that was under way left the blocks {outcomes}")


@test(quick=True)
def no_atomic_write_is_torn_by_a_killed_worker(env):
    tear(env, lambda daemon: daemon.kill("worker0"), lambda daemon: None, 6)


@test()
def no_atomic_write_is_torn_by_a_crash_of_everything(env):
    tear(env, lambda daemon: daemon.crash(), lambda daemon: daemon.start(), 3)
