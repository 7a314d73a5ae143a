"""A session for SCSI commands of our own making, over iscsi_pdu."""
import collections
import struct

import iscsi_pdu as p

from .daemon import TARGET

Outcome = collections.namedtuple("Outcome", "status key asc data")
LOGICAL_UNIT_RESET = 5


class Session:
    """Logged in to a target, unit attentions taken. A context manager."""

    def __init__(self, daemon, target=TARGET, name="iqn.2026-11.io.lunette.test:scsi", luns=(0,), timeout_s=30):
        host, _, port = daemon.portal().rpartition(":")
        self.connection = p.Connection(host, int(port), timeout_s * daemon.slow)
        response = self.connection.login(name, target, ImmediateData="Yes", InitialR2T="No", FirstBurstLength=65536,
                                         MaxRecvDataSegmentLength=262144)
        assert response.status == 0, response
        for lun in luns:
            while self.run(bytes(6), lun=lun).status:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.connection.socket.close()

    def send(self, cdb, out=b"", expect=0, lun=0):
        """Sends a command whose data fits into its immediate data; returns its tag. expect: bytes of data-in."""
        c = self.connection
        c.itt += 1
        pdu = p.Pdu(p.SCSI_COMMAND, out, flags=0x81 | (0x40 if expect else 0) | (0x20 if out else 0), itt=c.itt,
                    edtl=expect or len(out), cmdsn=c.cmdsn, expstatsn=c.expstatsn, lun=lun << 48)
        pdu.cdb = bytes(cdb)
        c.cmdsn = c.cmdsn + 1 & 0xFFFFFFFF
        c.send(pdu)
        return c.itt

    def wait(self, tag):
        """The outcome of the oldest command, which has that tag."""
        data = b""
        while True:
            pdu = self.connection.receive()
            assert pdu.itt == tag, pdu
            if pdu.opcode == p.DATA_IN:
                data += pdu.data
                if pdu.flags & 1:
                    return Outcome(pdu.scsi_status, 0, 0, data)
                continue
            assert pdu.opcode == p.SCSI_RESPONSE, pdu
            sense = pdu.data[2:]
            if len(sense) < 14:
                return Outcome(pdu.scsi_status, 0, 0, data)
            return Outcome(pdu.scsi_status, sense[2] & 15, sense[12] << 8 | sense[13], data)

    def run(self, cdb, out=b"", expect=0, lun=0):
        return self.wait(self.send(cdb, out, expect, lun))

    def manage(self, function, lun=0):
        """Task management: the response code."""
        c = self.connection
        c.itt += 1
        c.send(p.Pdu(p.IMMEDIATE | p.TASK_REQUEST, flags=0x80 | function, itt=c.itt, ttt=p.NO_TAG, cmdsn=c.cmdsn,
                     expstatsn=c.expstatsn, lun=lun << 48))
        pdu = c.receive()
        assert pdu.opcode == p.TASK_RESPONSE and pdu.itt == c.itt, pdu
        return pdu.scsi_response

    def write(self, lba, data, lun=0, block=512):
        return self.run(struct.pack(">BBQIBB", 0x8A, 0, lba, len(data) // block, 0, 0), data, lun=lun)

    def read(self, lba, blocks, lun=0, block=512):
        return self.run(struct.pack(">BBQIBB", 0x88, 0, lba, blocks, 0, 0), expect=blocks * block, lun=lun).data

    def naa(self, lun=0):
        """The NAA designator of a LUN, from VPD page 83h."""
        page = self.run(bytes([0x12, 1, 0x83, 1, 0, 0]), expect=256, lun=lun).data
        at = 4
        while page[at + 1] & 0x3F != 3:
            at += 4 + page[at + 3]
        return page[at + 4:at + 4 + page[at + 3]]
