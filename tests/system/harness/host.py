"""A host: a session whose commands are raw CDBs, those of clusters (persistent reservations) and of copies among them."""
import struct

import iscsi_pdu as p
from iscsi_pdu import Connection, Pdu

from .daemon import TARGET

GOOD, CHECK_CONDITION, BUSY, CONFLICT = 0x00, 0x02, 0x08, 0x18
REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_AND_ABORT, REGISTER_AND_IGNORE, REGISTER_AND_MOVE = range(8)
APTPL, ALL_TG_PT, SPEC_I_PT = 0x01, 0x04, 0x08
WRITE_EXCLUSIVE, EXCLUSIVE_ACCESS, WRITE_EXCLUSIVE_RO, EXCLUSIVE_ACCESS_RO, WRITE_EXCLUSIVE_AR, EXCLUSIVE_ACCESS_AR = (
    1, 3, 5, 6, 7, 8)
BLOCK = 512
IMMEDIATE_MAX = 65536  # FirstBurstLength
ABORT_TASK, ABORT_TASK_SET, CLEAR_TASK_SET, LOGICAL_UNIT_RESET, TARGET_WARM_RESET = 1, 2, 4, 5, 6


def name_of(who):
    return f"iqn.2026-11.io.lunette.test:{who}"


def transport_id(who, isid=None):
    """Of an initiator port, or of the initiator device without isid (SPC-4 7.6.4.6)."""
    text = name_of(who).encode() + (b",i,0x" + isid.hex().encode() if isid else b"") + b"\0"
    text += bytes(-len(text) % 4)
    return struct.pack(">BBH", 0x45 if isid else 0x05, 0, max(len(text), 20)) + text.ljust(20, b"\0")


def write10(lba, blocks=1):
    return struct.pack(">BBIBHB", 0x2A, 0, lba, 0, blocks, 0)


def read10(lba, blocks=1):
    return struct.pack(">BBIBHB", 0x28, 0, lba, 0, blocks, 0)


class Answer:
    """What came back for one command."""

    def __init__(self, status, sense, data):
        self.status, self.data = status, data
        self.key, self.asc = (sense[2] & 0x0F, struct.unpack_from(">H", sense, 12)[0]) if sense else (0, 0)

    def __repr__(self):
        return f"<status {self.status:#04x} sense {self.key:x}/{self.asc:04x} {len(self.data)} bytes>"


class Host:
    """One path of a host: a session, unit attentions taken. A context manager. who: the end of its initiator name; isid: another
    initiator port of the same host; lun: where commands go that name no other; more_luns: others that it uses."""

    def __init__(self, daemon, who, target=TARGET, portal=0, isid=1, lun=0, more_luns=()):
        host, _, port = daemon.portal(portal).rpartition(":")
        self.connection = Connection(host.strip("[]"), int(port), 30 * daemon.slow)
        self.connection.isid = self.isid = b"\x80\x00\x00\x00\x00" + bytes([isid])
        self.lun = lun
        response = self.connection.login(name_of(who), target, ImmediateData="Yes", InitialR2T="No",
                                         FirstBurstLength=IMMEDIATE_MAX, MaxBurstLength=262144)
        assert response.status == 0, response
        for used in (lun, *more_luns):
            self.drain(used)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.connection.socket.close()

    # ------------------------------------------------ commands

    def address(self, lun):
        return (self.lun if lun is None else lun) << 48

    def send(self, cdb, out=b"", in_bytes=0, lun=None):
        """Sends a command, its data with it; its initiator task tag."""
        c = self.connection
        assert len(out) <= IMMEDIATE_MAX
        c.itt += 1
        pdu = Pdu(p.SCSI_COMMAND, out, flags=0x81 | (0x20 if out else 0) | (0x40 if in_bytes else 0), itt=c.itt,
                  edtl=len(out) or in_bytes, cmdsn=c.cmdsn, expstatsn=c.expstatsn, lun=self.address(lun))
        pdu.cdb = bytes(cdb)
        c.cmdsn = (c.cmdsn + 1) & 0xFFFFFFFF
        c.send(pdu)
        return c.itt

    def receive(self, itt):
        """The answer to the command with this tag; others that come before it are an error."""
        data = b""
        while True:
            pdu = self.connection.receive()
            if pdu.opcode == p.NOP_IN:
                continue
            assert pdu.itt == itt, pdu
            if pdu.opcode == p.DATA_IN:
                data += pdu.data
                if not pdu.flags & 1:
                    continue
            else:
                assert pdu.opcode == p.SCSI_RESPONSE, pdu
            self.connection.expstatsn = pdu.statsn + 1
            return Answer(pdu.scsi_status, b"" if pdu.opcode == p.DATA_IN else pdu.data[2:], data)

    def do(self, cdb, out=b"", in_bytes=0, lun=None):
        return self.receive(self.send(cdb, out, in_bytes, lun))

    def manage(self, function, referenced=p.NO_TAG, lun=None):
        """Task management, referenced: the tag of the task; the response code. Nothing else may come before it."""
        c = self.connection
        c.itt += 1
        c.send(Pdu(p.IMMEDIATE | p.TASK_REQUEST, flags=p.FINAL | function, itt=c.itt, ttt=referenced, cmdsn=c.cmdsn,
                   expstatsn=c.expstatsn, lun=self.address(lun)))
        pdu = c.receive()
        assert pdu.opcode == p.TASK_RESPONSE and pdu.itt == c.itt, pdu
        c.expstatsn = pdu.statsn + 1
        return pdu.scsi_response

    def drain(self, lun=None):
        """TEST UNIT READY until no unit attention is left; those that were there."""
        found = []
        while (answer := self.do(bytes(6), lun=lun)).status == CHECK_CONDITION and answer.key == 6 and len(found) < 8:
            found.append(answer.asc)
        assert answer.status == GOOD, answer
        return found

    # ------------------------------------------------ the medium

    def write(self, lba, fill, blocks=1):
        return self.write_bytes(lba, bytes([fill]) * BLOCK * blocks)

    def write_bytes(self, lba, data, lun=None):
        return self.do(write10(lba, len(data) // BLOCK), data, lun=lun)

    def unmap(self, lba, blocks):
        return self.do([0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0], struct.pack(">HHIQII", 22, 16, 0, lba, blocks, 0))

    def read(self, lba, blocks=1, lun=None):
        return self.do(read10(lba, blocks), in_bytes=BLOCK * blocks, lun=lun)

    def may(self):
        """"rw", "r" or "": what reservations let it do."""
        reads, writes = self.read(0).status, self.write(0, 0).status
        assert {reads, writes} <= {GOOD, CONFLICT}, (reads, writes)
        return ("r" if reads == GOOD else "") + ("w" if writes == GOOD else "")

    # ------------------------------------------------ persistent reservations

    def pr_out(self, action, kind=0, key=0, service_key=0, flags=0, transport_ids=None):
        """PERSISTENT RESERVE OUT with the basic list; transport_ids: and SPEC_I_PT with these."""
        more = b""
        if transport_ids is not None:
            flags |= SPEC_I_PT
            more = b"".join(transport_ids)
            more = struct.pack(">I", len(more)) + more
        data = struct.pack(">QQIBBH", key, service_key, 0, flags, 0, 0) + more
        return self.do(struct.pack(">BBBHIB", 0x5F, action, kind, 0, len(data), 0), data)

    def move(self, key, service_key, port, to, unregister=False, aptpl=False):
        """REGISTER AND MOVE to a TransportID through a relative target port."""
        data = struct.pack(">QQBBHI", key, service_key, 0, (2 if unregister else 0) | aptpl, port, len(to)) + to
        return self.do(struct.pack(">BBBHIB", 0x5F, REGISTER_AND_MOVE, 0, 0, len(data), 0), data)

    def pr_in(self, action, in_bytes=8192):
        answer = self.do(struct.pack(">BBBHHHB", 0x5E, action, 0, 0, 0, in_bytes, 0), in_bytes=in_bytes)
        assert answer.status == GOOD, answer
        return answer.data

    def keys(self):
        data = self.pr_in(0)
        return [struct.unpack_from(">Q", data, at)[0] for at in range(8, len(data), 8)]

    def generation(self):
        return struct.unpack_from(">I", self.pr_in(0))[0]

    def reservation(self):
        """(type, key) or None."""
        data = self.pr_in(1)
        return (data[21] & 0x0F, struct.unpack_from(">Q", data, 8)[0]) if len(data) > 8 else None

    def capabilities(self):
        return self.pr_in(2)

    def full_status(self):
        """[(key, holder, all target ports, relative target port, TransportID)]"""
        data, at, found = self.pr_in(3), 8, []
        while at < len(data):
            length = struct.unpack_from(">I", data, at + 20)[0]
            found.append((struct.unpack_from(">Q", data, at)[0], bool(data[at + 12] & 1), bool(data[at + 12] & 2),
                          struct.unpack_from(">H", data, at + 18)[0], data[at + 24:at + 24 + length]))
            at += 24 + length
        return found

    # ------------------------------------------------ names

    def relative_port(self):
        """The relative target port identifier of this path."""
        return struct.unpack_from(">H", self.designator(0x14), 2)[0]

    def naa(self, lun=None):
        return self.designator(0x03, lun)

    def designator(self, kind, lun=None):
        """The first in VPD page 83h of that association and type (the low bits of byte 1, SPC-4 7.8.6.1)."""
        data, at = self.do([0x12, 1, 0x83, 2, 0, 0], in_bytes=512, lun=lun).data, 4
        while at < len(data):
            if data[at + 1] & 0x3F == kind:
                return data[at + 4:at + 4 + data[at + 3]]
            at += 4 + data[at + 3]
        raise AssertionError(f"no designator {kind:#04x}")
