"""A bare iSCSI connection for wrong input: builds PDUs as asked, right or wrong, and reads what comes back (RFC 7143, 11)."""
import socket
import struct

from .daemon import TARGET

NOP_OUT, COMMAND, TMF, LOGIN, TEXT, DATA_OUT, LOGOUT, SNACK = 0, 1, 2, 3, 4, 5, 6, 0x10
NOP_IN, RESPONSE, TMF_RESPONSE, LOGIN_RESPONSE, TEXT_RESPONSE, DATA_IN, LOGOUT_RESPONSE, R2T, ASYNC, REJECT = (
    0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x31, 0x32, 0x3F)
NAME = "iqn.2026-11.io.lunette.test:bare"
NONE = 0xFFFFFFFF


def keys(**pairs):
    """Text keys as they go over the wire."""
    return b"".join(f"{name}={value}".encode() + b"\0" for name, value in pairs.items())


class Pdu:
    """A received PDU: its header, and its data segment without padding."""

    def __init__(self, header, data):
        self.header, self.data = header, data
        self.opcode = header[0] & 0x3F
        self.flags = header[1]

    def word(self, at):
        return struct.unpack_from(">I", self.header, at)[0]

    @property
    def status(self):
        """Class and detail of a login response, SCSI status otherwise."""
        return struct.unpack_from(">H", self.header, 36)[0] if self.opcode == LOGIN_RESPONSE else self.header[3]

    def __repr__(self):
        return f"<{self.opcode:02x} flags {self.flags:02x} {self.header.hex()} {self.data[:64]!r}>"


class Connection:
    """One TCP connection to a portal, nothing sent yet."""

    def __init__(self, daemon, timeout_s=10):
        host, _, port = daemon.portal().rpartition(":")
        self.socket = socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s * daemon.slow)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.cmd_sn, self.stat_sn, self.itt = 1, 0, 1

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    @staticmethod
    def header(opcode, flags=0x80, data_bytes=0, lun=0, itt=0, words=(), ahs_words=0):
        """A basic header segment. words: those from byte 20 on."""
        header = struct.pack(">BBHI", opcode, flags, 0, ahs_words << 24 | (data_bytes & 0xFFFFFF))
        header += struct.pack(">HHI", lun, 0, 0) + struct.pack(">I", itt)
        header += b"".join(w if isinstance(w, bytes) else struct.pack(">I", w & NONE) for w in words)
        return header.ljust(48, b"\0")

    def pdu(self, opcode, flags=0x80, data=b"", **more):
        """Sends a PDU with its data segment, padded."""
        self.send(self.header(opcode, flags, len(data), **more) + data + bytes(-len(data) % 4))

    def receive_exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionResetError("closed by the target")
            data += more
        return data

    def receive(self):
        """The next PDU. ConnectionError when the target closed."""
        header = self.receive_exactly(48)
        length = struct.unpack_from(">I", header, 4)[0] & 0xFFFFFF
        data = self.receive_exactly((length + 3) // 4 * 4)[:length]
        pdu = Pdu(header, data)
        if pdu.opcode not in (R2T,) and pdu.opcode != DATA_IN:
            self.stat_sn = pdu.word(24) + 1
        return pdu

    def closed(self):
        """Reads on until the target closes; the PDUs that came before. TimeoutError when it does not."""
        came = []
        try:
            while True:
                came.append(self.receive())
        except ConnectionError:
            return came

    # ------------------------------------------------ right ones

    def login_pdu(self, text, flags=0x87, isid=b"\x80\0\0\1\0\0", tsih=0, opcode=0x40 | LOGIN):
        """One Login request. flags: T, C, CSG, NSG."""
        length = len(text)
        self.send(struct.pack(">BBBBI", opcode, flags, 0, 0, length) + isid + struct.pack(">HIHHII", tsih, self.itt, 1, 0,
                                                                                         self.cmd_sn, self.stat_sn)
                  + bytes(16) + text + bytes(-length % 4))

    def login(self, target=TARGET, name=NAME, isid=b"\x80\0\0\1\0\0", **pairs):
        """Straight to the full feature phase, operational stage only."""
        text = keys(InitiatorName=name, TargetName=target, SessionType="Normal", HeaderDigest="None", DataDigest="None",
                    **pairs)
        self.login_pdu(text, isid=isid)
        answer = self.receive()
        assert answer.opcode == LOGIN_RESPONSE and answer.status == 0, answer
        while not answer.flags & 0x80:
            self.login_pdu(b"", isid=isid)
            answer = self.receive()
            assert answer.status == 0, answer
        return self

    def command(self, cdb, flags=0x80, length=0, lun=0, data=b"", itt=None, cmd_sn=None):
        """Sends a SCSI Command; its initiator task tag."""
        self.itt += 1
        itt = self.itt if itt is None else itt
        number = self.cmd_sn if cmd_sn is None else cmd_sn
        self.pdu(COMMAND, flags, data, lun=lun, itt=itt, words=(length, number, self.stat_sn, bytes(cdb).ljust(16, b"\0")))
        if cmd_sn is None:
            self.cmd_sn += 1
        return itt

    def answer(self):
        """Receives until a PDU that ends a command: its SCSI Response, or Data-In with status."""
        while True:
            pdu = self.receive()
            if pdu.opcode == RESPONSE or pdu.opcode == DATA_IN and pdu.flags & 1 or pdu.opcode in (REJECT, ASYNC):
                return pdu

    def clear_attentions(self, lun=0):
        """TEST UNIT READY until it is GOOD."""
        for _ in range(8):
            self.command([0] * 6, lun=lun)
            if self.answer().status == 0:
                return self
        raise AssertionError("unit attentions without end")
