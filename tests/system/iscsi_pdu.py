"""iSCSI PDUs and a small initiator, standard library only (RFC 7143 sections 6, 11, 12.1.3).

Everything that goes out can be wrong on purpose: headers are built field by field, text is bytes, digests can be spoilt.
What comes in is checked: lengths, padding, digests, and the laws of a Login Response.
"""
import base64
import hashlib
import socket
import struct

NOP_OUT, SCSI_COMMAND, TASK_REQUEST, LOGIN_REQUEST, TEXT_REQUEST, DATA_OUT, LOGOUT_REQUEST, SNACK = 0, 1, 2, 3, 4, 5, 6, 0x10
NOP_IN, SCSI_RESPONSE, TASK_RESPONSE, LOGIN_RESPONSE, TEXT_RESPONSE, DATA_IN, LOGOUT_RESPONSE = range(0x20, 0x27)
R2T, ASYNC_MESSAGE, REJECT = 0x31, 0x32, 0x3F
IMMEDIATE = 0x40
SECURITY, OPERATIONAL, FULL_FEATURE = 0, 1, 3
TRANSIT, CONTINUE, FINAL = 0x80, 0x40, 0x80
NO_TAG = 0xFFFFFFFF
CHAP_HASHES = {"5": "md5", "6": "sha1", "7": "sha256", "8": "sha3_256"}


class ProtocolError(AssertionError):
    """The target said something that the standard does not allow."""


def _crc32c_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC32C = _crc32c_table()


def crc32c(data):
    """CRC32C as it goes over the wire: four bytes, least significant first."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC32C[(crc ^ byte) & 0xFF]
    return struct.pack("<I", crc ^ 0xFFFFFFFF)


def pairs(*items, **named):
    """Text keys with their NULs: pairs("A=1", b"B=2", C=3)."""
    text = [item if isinstance(item, bytes) else item.encode() for item in items]
    text += [f"{name}={value}".encode() for name, value in named.items()]
    return b"".join(item + b"\0" for item in text)


def values(text):
    """The keys of a text; the values of a key that came several times as a list in `all_values`."""
    return {name: found[-1] for name, found in all_values(text).items()}


def all_values(text):
    if text and not text.endswith(b"\0"):
        raise ProtocolError(f"text does not end in NUL: {text[-40:]!r}")
    found = {}
    for item in text.split(b"\0")[:-1]:
        name, equals, value = item.partition(b"=")
        if not equals:
            raise ProtocolError(f"not a pair: {item[:40]!r}")
        found.setdefault(name.decode(), []).append(value.decode())
    return found


class Pdu:
    """One PDU: a header of 48 bytes that is read and written by field, additional header segments and data."""

    FIELDS = {  # name: (offset, struct format)
        "byte0": (0, ">B"), "flags": (1, ">B"), "version_max": (2, ">B"), "version_min": (3, ">B"), "ahs_words": (4, ">B"),
        "tsih": (14, ">H"), "itt": (16, ">I"), "ttt": (20, ">I"), "cid": (20, ">H"), "cmdsn": (24, ">I"),
        "expstatsn": (28, ">I"), "statsn": (24, ">I"), "expcmdsn": (28, ">I"), "maxcmdsn": (32, ">I"), "status": (36, ">H"),
        "scsi_response": (2, ">B"), "scsi_status": (3, ">B"), "lun": (8, ">Q"), "edtl": (20, ">I"), "datasn": (36, ">I"),
        "offset": (40, ">I"), "reason": (2, ">B"),
    }

    def __init__(self, opcode=0, data=b"", ahs=b"", header=None, **fields):
        self.header = bytearray(header or 48)
        self.data, self.ahs = data, ahs
        self.announced = None  # DataSegmentLength that lies; None: the truth
        if header is None:
            self.header[0] = opcode
            self.ahs_words = len(ahs) // 4
        for name, value in fields.items():
            setattr(self, name, value)

    def __getattr__(self, name):
        if name not in Pdu.FIELDS:
            raise AttributeError(name)
        offset, form = Pdu.FIELDS[name]
        return struct.unpack_from(form, self.header, offset)[0]

    def __setattr__(self, name, value):
        if name in Pdu.FIELDS:
            offset, form = Pdu.FIELDS[name]
            struct.pack_into(form, self.header, offset, value)
        elif name in ("isid", "cdb"):
            offset, length = (8, 6) if name == "isid" else (32, 16)
            self.header[offset:offset + length] = bytes(value).ljust(length, b"\0")
        else:
            super().__setattr__(name, value)

    @property
    def isid(self):
        return bytes(self.header[8:14])

    @property
    def opcode(self):
        return self.header[0] & 0x3F

    @property
    def stages(self):
        """(CSG, NSG) of a login PDU."""
        return self.flags >> 2 & 3, self.flags & 3

    def encode(self, header_digest=False, data_digest=False):
        length = len(self.data) if self.announced is None else self.announced
        self.header[5:8] = length.to_bytes(3, "big")
        head = bytes(self.header) + self.ahs
        padded = self.data + bytes(-len(self.data) % 4)
        return (head + (crc32c(head) if header_digest else b"") + padded +
                (crc32c(padded) if data_digest and padded else b""))

    def __repr__(self):
        return f"<PDU {self.opcode:#04x} flags {self.flags:#04x} {self.header.hex(' ', 4)} {self.data[:80]!r}>"


class Connection:
    """One TCP connection to a portal. A context manager."""

    def __init__(self, host, port, timeout_s=10.0):
        self.socket = socket.create_connection((host, port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.header_digest = self.data_digest = False
        self.isid, self.tsih, self.cid, self.itt = b"\x80\x12\x34\x56\x00\x01", 0, 1, 1
        self.cmdsn, self.expstatsn, self.stage = 1, 0, SECURITY
        self.negotiated = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    # ------------------------------------------------ any PDU

    def send(self, pdu):
        self.socket.sendall(pdu.encode(self.header_digest, self.data_digest))

    def send_bytes(self, data):
        self.socket.sendall(data)

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionResetError("closed by the target" + (" inside a PDU" if data else ""))
            data += more
        return data

    def receive(self):
        """The next PDU, its digests checked. ConnectionError when the target closed."""
        head = self._exactly(48)
        head += self._exactly(head[4] * 4)
        if self.header_digest and self._exactly(4) != crc32c(head):
            raise ProtocolError("wrong header digest")
        length = int.from_bytes(head[5:8], "big")
        padded = self._exactly((length + 3) & ~3)
        if self.data_digest and padded and self._exactly(4) != crc32c(padded):
            raise ProtocolError("wrong data digest")
        return Pdu(header=head[:48], ahs=head[48:], data=padded[:length])

    def is_closed(self, within_s=5.0):
        """Does the target close, saying nothing more?"""
        self.socket.settimeout(within_s)
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    # ------------------------------------------------ login

    def login_pdu(self, csg, nsg=None, text=b"", more=False, **fields):
        """A Login Request; nsg None: no transit. more: the C bit."""
        flags = csg << 2 | (0 if nsg is None else TRANSIT | nsg) | (CONTINUE if more else 0)
        pdu = Pdu(IMMEDIATE | LOGIN_REQUEST, text, flags=flags, tsih=self.tsih, itt=self.itt, cid=self.cid, cmdsn=self.cmdsn,
                  expstatsn=self.expstatsn)
        pdu.isid = self.isid
        for name, value in fields.items():
            setattr(pdu, name, value)
        return pdu

    def login_response(self):
        """The next PDU, which must be a Login Response that keeps the laws of section 11.13."""
        pdu = self.receive()
        if pdu.opcode != LOGIN_RESPONSE:
            raise ProtocolError(f"not a Login Response: {pdu}")
        if pdu.flags & TRANSIT and pdu.flags & CONTINUE:
            raise ProtocolError(f"T and C together: {pdu}")
        if pdu.flags & TRANSIT and (pdu.stages[1] <= pdu.stages[0] or pdu.stages[1] == 2):
            raise ProtocolError(f"transit backwards: {pdu}")
        if pdu.status and pdu.flags & (TRANSIT | CONTINUE):
            raise ProtocolError(f"a refusal with T or C: {pdu}")
        if len(pdu.data) > 8192:
            raise ProtocolError(f"more than 8192 bytes of login text: {len(pdu.data)}")
        all_values(pdu.data) if not pdu.flags & CONTINUE else None
        self.expstatsn = pdu.statsn + 1
        return pdu

    def exchange(self, csg, nsg=None, text=b"", **fields):
        """One login request and its answer, all pieces of it put together."""
        self.send(self.login_pdu(csg, nsg, text, **fields))
        response = self.login_response()
        whole = response.data
        while response.status == 0 and response.flags & CONTINUE:
            self.send(self.login_pdu(csg, nsg))
            response = self.login_response()
            whole += response.data
        response.data = whole
        return response

    def login(self, initiator, target=None, chap=None, mutual=None, **offers):
        """A whole login; target None: discovery. chap, mutual: (user, secret). Returns the last response; look at its
        status. The negotiated keys are in self.negotiated afterwards, the digests are in force."""
        names = {"InitiatorName": initiator, "SessionType": "Normal" if target else "Discovery"}
        if target:
            names["TargetName"] = target
        method = "CHAP" if chap else "None"
        response = self.exchange(SECURITY, None if chap else OPERATIONAL, pairs(**names, AuthMethod=method))
        if response.status == 0 and chap:
            response = self.prove(chap, mutual)
        if response.status:
            return response
        response = self.exchange(OPERATIONAL, FULL_FEATURE, pairs(**offers))
        if response.status == 0:
            self.negotiated = values(response.data)
            self.tsih = response.tsih
            self.header_digest = self.negotiated.get("HeaderDigest") == "CRC32C"
            self.data_digest = self.negotiated.get("DataDigest") == "CRC32C"
            self.stage = FULL_FEATURE
        return response

    def challenge(self, algorithms="7,6,5"):
        """As far as the target's challenge: (response, algorithm, identifier, challenge)."""
        response = self.exchange(SECURITY, None, pairs(CHAP_A=algorithms))
        if response.status:
            return response, None, None, None
        said = values(response.data)
        return response, said["CHAP_A"], int(said["CHAP_I"], 0), unpack(said["CHAP_C"])

    def prove(self, chap, mutual=None, own_challenge=b"a challenge of the initiator"):
        """CHAP from CHAP_A on, with transit to the operational stage; checks the target's proof."""
        response, algorithm, identifier, challenge = self.challenge()
        if response.status:
            return response
        text = pairs(CHAP_N=chap[0], CHAP_R=hexadecimal(chap_response(algorithm, identifier, chap[1], challenge)))
        if mutual:
            text += pairs(CHAP_I=42, CHAP_C=hexadecimal(own_challenge))
        response = self.exchange(SECURITY, OPERATIONAL, text)
        if response.status == 0 and mutual:
            said = values(response.data)
            expected = chap_response(algorithm, 42, mutual[1], own_challenge)
            if said.get("CHAP_N") != mutual[0] or unpack(said["CHAP_R"]) != expected:
                raise ProtocolError(f"the target did not prove itself: {said}")
        return response

    # ------------------------------------------------ full feature phase

    def text(self, text):
        """A Text request and its whole answer, or the Reject."""
        self.itt += 1
        ttt, whole = NO_TAG, b""
        while True:
            self.send(Pdu(IMMEDIATE | TEXT_REQUEST, text, flags=FINAL, itt=self.itt, ttt=ttt, cmdsn=self.cmdsn,
                          expstatsn=self.expstatsn))
            pdu = self.receive()
            self.expstatsn = pdu.statsn + 1
            whole += pdu.data
            if pdu.opcode != TEXT_RESPONSE or pdu.flags & FINAL:
                pdu.data = whole
                return pdu
            text, ttt = b"", pdu.ttt

    def send_targets(self, which="All"):
        """{target name: [address, ...]}"""
        found, name = {}, None
        for item in self.text(pairs(SendTargets=which)).data.split(b"\0")[:-1]:
            key, _, value = item.decode().partition("=")
            if key == "TargetName":
                name = value
                found[name] = []
            elif key == "TargetAddress":
                found[name].append(value)
        return found

    def logout(self):
        self.itt += 1
        self.send(Pdu(IMMEDIATE | LOGOUT_REQUEST, flags=FINAL, itt=self.itt, cid=self.cid, cmdsn=self.cmdsn,
                      expstatsn=self.expstatsn))
        pdu = self.receive()
        if pdu.opcode != LOGOUT_RESPONSE:
            raise ProtocolError(f"not a Logout Response: {pdu}")
        return pdu


def chap_response(algorithm, identifier, secret, challenge):
    secret = secret if isinstance(secret, bytes) else secret.encode()
    return hashlib.new(CHAP_HASHES[algorithm], bytes([identifier]) + secret + challenge).digest()


def hexadecimal(data):
    return "0x" + data.hex()


def base64_text(data):
    return "0b" + base64.b64encode(data).decode()


def unpack(value):
    """The bytes of a binary value."""
    if value[:2] in ("0x", "0X"):
        return bytes.fromhex(value[2:].zfill(len(value[2:]) + len(value[2:]) % 2))
    if value[:2] in ("0b", "0B"):
        return base64.b64decode(value[2:], validate=True)
    raise ProtocolError(f"not a binary value: {value[:40]}")
