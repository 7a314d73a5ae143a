"""An initiator whose every PDU can be wrong, and words for what comes back.

Outcomes: "close" (closed without a word), "good", "check:5/24/00" (CHECK CONDITION with that sense), "status:18" (another
status), "reject:04" (Reject with that reason), "tmf:05", "logout:1", "nop", "text", "r2t", "async:1", "silence".
"""
import fnmatch
import socket

import iscsi_pdu as p
from harness.daemon import TARGET
from iscsi_pdu import Pdu

NAME = "iqn.2026-11.io.lunette.test:hostile"
SILENCE_S = 0.3
FIELD, LIST, RANGE, LENGTH, CODE = "check:5/24/00", "check:5/26/00", "check:5/21/00", "check:5/1a/00", "check:5/20/00"
UNASKED = {"ImmediateData": "Yes", "InitialR2T": "No", "FirstBurstLength": 65536}  # data goes with the command
NO_R2T = {"ImmediateData": "No", "InitialR2T": "Yes"}
TUR = [0] * 6


def read10(lba, blocks):
    return [0x28, 0, *lba.to_bytes(4, "big"), 0, *blocks.to_bytes(2, "big"), 0]


def write10(lba, blocks):
    return [0x2A, 0, *lba.to_bytes(4, "big"), 0, *blocks.to_bytes(2, "big"), 0]


class Initiator(p.Connection):
    """world: where the portal is; knows of us. Nothing is sent yet."""

    serial = 0

    def __init__(self, world, timeout_s=10, name=NAME, receive_buffer=None, address=None):
        host, _, port = world.daemon.portal().rpartition(":")
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if address:
            self.socket.bind((address, 0))
        self.timeout_s = timeout_s * world.slow
        self.socket.settimeout(self.timeout_s)
        log_end = world.log_end()
        self.socket.connect((host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.header_digest = self.data_digest = False
        Initiator.serial += 1
        self.isid = b"\x80" + Initiator.serial.to_bytes(3, "big") + b"\0\1"
        self.tsih, self.cid, self.itt, self.cmdsn, self.expstatsn, self.stage = 0, 1, 1, 1, 0, p.SECURITY
        self.negotiated, self.name, self.data_in, self.last = {}, name, b"", None
        world.opened(self, log_end)

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def full(self, target=TARGET, clear=True, **offers):
        response = self.login(self.name, target, **offers)
        assert response.status == 0, f"login: {response.status:#06x}"
        if clear and target:
            while self.outcome_of(TUR) != "good":
                pass
        return self

    # ------------------------------------------------ sending

    def send_or_closed(self, data):
        """Sends bytes or a PDU; what the target has closed before the end is no error."""
        try:
            self.send_bytes(data if isinstance(data, bytes) else data.encode(self.header_digest, self.data_digest))
        except (ConnectionError, TimeoutError):
            pass

    def pdu(self, opcode, data=b"", immediate=False, **fields):
        """A PDU of this session: tag, numbers and final bit are right unless fields say otherwise."""
        self.itt += 1
        made = Pdu(opcode | (p.IMMEDIATE if immediate else 0), data, flags=p.FINAL, itt=self.itt, ttt=p.NO_TAG, cmdsn=self.cmdsn,
                   expstatsn=self.expstatsn, **fields.pop("header", {}))
        ordered = opcode in (p.NOP_OUT, p.SCSI_COMMAND, p.TASK_REQUEST, p.TEXT_REQUEST, p.LOGOUT_REQUEST)
        if ordered and not immediate and "cmdsn" not in fields:
            self.cmdsn = self.cmdsn + 1 & 0xFFFFFFFF
        for name, value in fields.items():
            setattr(made, name, value)
        return made

    def command_pdu(self, cdb, read=0, write=0, data=b"", **fields):
        flags = p.FINAL | (0x40 if read else 0) | (0x20 if write or data else 0)
        made = self.pdu(p.SCSI_COMMAND, data, **{"flags": flags, "edtl": read or write or len(data), **fields})
        made.header[32:48] = bytes(cdb[:16]).ljust(16, b"\0")
        return made

    def command(self, cdb, **more):
        """Sends a SCSI Command; its tag."""
        made = self.command_pdu(cdb, **more)
        self.send(made)
        return made.itt

    def asked_for_data(self, lba, blocks=8):
        """A write is as far as its R2T, which is in self.last; its tag."""
        tag = self.command(write10(lba, blocks), write=blocks * 512)
        expect(self.outcome(), "r2t")
        return tag

    def task_request(self, function, **fields):
        """Task management, immediate."""
        return self.pdu(p.TASK_REQUEST, **{"immediate": True, "flags": p.FINAL | function, **fields})

    def data_out(self, r2t, data, **fields):
        made = Pdu(p.DATA_OUT, data, flags=p.FINAL, itt=r2t.itt, ttt=r2t.ttt, expstatsn=self.expstatsn, offset=r2t.offset)
        made.lun = r2t.lun
        for name, value in fields.items():
            setattr(made, name, value)
        return made

    # ------------------------------------------------ what comes back

    def word(self, pdu):
        """One outcome; None for a PDU that ends nothing (Data-In without status)."""
        self.last = pdu
        if pdu.opcode not in (p.R2T, p.DATA_IN) or pdu.opcode == p.DATA_IN and pdu.flags & 1:
            self.expstatsn = pdu.statsn + 1
        if pdu.opcode == p.DATA_IN:
            self.data_in += pdu.data
            return "good" if pdu.flags & 1 and pdu.scsi_status == 0 else f"status:{pdu.scsi_status:02x}" if pdu.flags & 1 else None
        if pdu.opcode == p.SCSI_RESPONSE:
            if pdu.scsi_status == 2 and len(pdu.data) >= 16:
                descriptor = pdu.data[2] & 0x7F >= 0x72
                key, asc = (pdu.data[3] & 15, pdu.data[4:6]) if descriptor else (pdu.data[4] & 15, pdu.data[14:16])
                return f"check:{key:x}/{asc[0]:02x}/{asc[1]:02x}"
            return "good" if pdu.scsi_status == 0 else f"status:{pdu.scsi_status:02x}"
        return {p.REJECT: f"reject:{pdu.reason:02x}", p.TASK_RESPONSE: f"tmf:{pdu.reason:02x}", p.NOP_IN: "nop",
                p.LOGOUT_RESPONSE: f"logout:{pdu.reason}", p.TEXT_RESPONSE: "text", p.R2T: "r2t",
                p.ASYNC_MESSAGE: f"async:{pdu.header[36]}"}.get(pdu.opcode, f"opcode:{pdu.opcode:02x}")

    def outcome(self, within_s=None):
        """The next outcome. within_s: "silence" when nothing comes so long."""
        self.data_in = b""
        self.socket.settimeout(within_s or self.timeout_s)
        try:
            while True:
                word = self.word(self.receive())
                if word:
                    return word
        except ConnectionError:
            return "close"
        except TimeoutError:
            if not within_s:
                raise
            return "silence"
        finally:
            self.socket.settimeout(self.timeout_s)

    def outcome_of(self, cdb, **more):
        self.command(cdb, **more)
        return self.outcome()

    def alive(self):
        """A ping comes back: the connection was not ended by what went before, and nothing else was said."""
        self.send(self.pdu(p.NOP_OUT, immediate=True))
        return self.outcome() == "nop"


def expect(got, *right):
    """right: outcomes, with * for what may be anything."""
    assert any(fnmatch.fnmatchcase(got, pattern) for pattern in right), f"{got}, not {' or '.join(right)}"
