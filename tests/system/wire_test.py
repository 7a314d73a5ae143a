"""I14: the laws of CmdSN, StatSN, tags, R2T, Data-In and residuals, seen by a checker that only watches (harness/wire.py)."""
import struct

from harness import wire
from harness.initiator import qemu_io, random_patterns
from harness.registry import test

SIZE = 32 << 20
FAMILIES = ("SCSI.Read10", "SCSI.Read16", "SCSI.Write10", "SCSI.Write16", "SCSI.WriteVerify10", "SCSI.CompareAndWrite",
            "SCSI.Inquiry", "SCSI.ProutReserve", "iSCSI")


def kept(env, watch, what):
    wrong = watch.finish()
    assert not wrong, "\n".join(wrong[:10])
    env.note(f"{what}: {watch.pdus} PDUs on {len(watch.links)} connections")


@test(quick=True, timeout_s=120)
def qemu_sees_the_laws_of_the_wire_kept(env):
    env.need("qemu-io")
    daemon = env.daemon()
    with wire.Watch(daemon) as watch:
        url = watch.through(daemon.serve("vol", SIZE))
        qemu_io(env, url, ["write -P 90 0 8M", *random_patterns(7, SIZE, 512, 250, zeroes=True)])  # the first needs R2Ts
        kept(env, watch, "qemu-io")


@test(timeout_s=300, nightly=True)
def iscsi_test_cu_sees_the_laws_of_the_wire_kept(env):
    env.need("iscsi-test-cu")
    daemon = env.daemon()
    with wire.Watch(daemon) as watch:
        url = watch.through(daemon.serve("vol", SIZE))
        for name in FAMILIES:
            env.run("iscsi-test-cu", "--dataloss", "--test", name, url, check=False, timeout_s=100)
        kept(env, watch, "iscsi-test-cu")


# ------------------------------------------------ the checker itself

def pdu(opcode, flags=0x80, data=b"", itt=1, word20=0, word24=0, word28=0, word32=0, word36=0, word40=0, word44=0, status=0):
    header = struct.pack(">BBBBI", opcode, flags, 0, status, len(data)) + bytes(8)
    header += struct.pack(">IIIIIIII", itt, word20, word24, word28, word32, word36, word40, word44)
    return wire.Pdu(header, data)


def session(edtl, flags):
    """A session in full feature phase with one command outstanding, CmdSN 5, StatSN 9."""
    made = wire.Session()
    made.sent_cmdsn = made.expcmdsn = 5
    made.maxcmdsn, made.statsn = 36, 9
    made.sent(pdu(wire.COMMAND, flags, word20=edtl, word24=5))
    return made


def read_answer(**other):
    return pdu(wire.DATA_IN, **{"flags": 0x81, "data": bytes(512), "word24": 9, "word28": 6, "word32": 37, **other})


def r2t(**other):
    return pdu(wire.R2T, **{"word20": 3, "word24": 9, "word28": 6, "word32": 37, "word40": 0, "word44": 512, **other})


@test(quick=True)
def the_checker_of_the_wire_sees_each_kind_of_wrong(_env):
    right = session(512, 0xC1)
    right.received(read_answer())
    assert right.wrong == [] and right.tasks == {}
    for what, other in {"StatSN": {"word24": 10}, "ExpCmdSN goes back": {"word28": 4}, "beyond what was sent": {"word28": 7},
                        "MaxCmdSN goes back": {"word32": 35}, "not outstanding": {"itt": 2}, "DataSN": {"word36": 1},
                        "offset": {"word40": 512}, "beyond the expected": {"data": bytes(1024)},
                        "GOOD without residual": {"data": bytes(100)}, "underflow": {"flags": 0x83, "word44": 1},
                        "status without F": {"flags": 1}}.items():
        bad = session(512, 0xC1)
        bad.received(read_answer(**other))
        assert any(what in wrong for wrong in bad.wrong), (what, bad.wrong)
    bad = session(512, 0xC1)
    bad.received(read_answer())
    bad.received(read_answer(word24=10))
    assert "not outstanding" in bad.wrong[0], "answered twice"
    right = session(512, 0xA1)
    right.received(r2t())
    assert right.wrong == []
    for what, other in {"R2TSN": {"word36": 1}, "beyond the expected": {"word40": 1}, "desired length": {"word44": 0},
                        "target transfer tag": {"word20": wire.NO_TAG}}.items():
        bad = session(512, 0xA1)
        bad.received(r2t(**other))
        assert any(what in wrong for wrong in bad.wrong), (what, bad.wrong)
    right.received(r2t(word36=1, word20=4, word40=512, word44=1))
    assert any("MaxOutstandingR2T" in wrong for wrong in right.wrong), right.wrong
