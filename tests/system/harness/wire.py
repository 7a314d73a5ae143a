"""A passive checker between an initiator and the target: forwards every byte, and holds each PDU to the laws of RFC 7143.

It knows nothing of the product. With Watch(daemon, portal) around a test, initiators connect to its port instead of the
portal's; afterwards watch.finish() is the list of what was against the law (section numbers are of RFC 7143):

  CmdSN      ExpCmdSN and MaxCmdSN never go back, ExpCmdSN never beyond what was sent, MaxCmdSN >= ExpCmdSN - 1 (4.2.2.1)
  StatSN     + 1 for each PDU that carries a status, the next one announced by those that do not (4.2.2.2, 11.14)
  ITT        every command is answered once, nothing is answered that was not asked; after the response to an ABORT TASK
             nothing of that task comes any more (4.2.3.4, 11.5)
  Data-In    DataSN from 0, offsets without gap or overlap, none beyond the expected length, no sequence longer than
             MaxBurstLength, no segment longer than the initiator takes (11.7)
  R2T        R2TSN from 0, 1 .. MaxBurstLength bytes, inside the expected length, not what unsolicited data has brought,
             contiguous, MaxOutstandingR2T at most (11.8)
  residual   expected length = what was transferred + underflow; overflow only when all of it was (11.4.5)
"""
import selectors
import socket
import struct
import threading

from . import process

NOP_OUT, COMMAND, TASK, LOGIN, TEXT, DATA_OUT, LOGOUT = 0, 1, 2, 3, 4, 5, 6
NOP_IN, RESPONSE, TASK_RESPONSE, LOGIN_RESPONSE, TEXT_RESPONSE, DATA_IN, LOGOUT_RESPONSE = range(0x20, 0x27)
R2T, ASYNC, REJECT = 0x31, 0x32, 0x3F
NO_TAG = 0xFFFFFFFF
ABORT_TASK = 1
OVERFLOW, UNDERFLOW = 0x04, 0x02


def before(one, two):
    """Serial number arithmetic: one < two."""
    return one != two and (two - one) & 0xFFFFFFFF < 1 << 31


class Pdu:
    """A PDU as it went by."""

    def __init__(self, header, data):
        self.header, self.data = header, data
        self.opcode, self.flags = header[0] & 0x3F, header[1]
        self.immediate = bool(header[0] & 0x40)
        self.itt = self.word(16)

    def word(self, at):
        return struct.unpack_from(">I", self.header, at)[0]


class Stream:
    """Cuts the bytes of one direction into PDUs."""

    def __init__(self):
        self.buffer, self.header_digest, self.data_digest = b"", False, False

    def take(self, data):
        self.buffer += data
        while len(self.buffer) >= 48:
            head = 48 + self.buffer[4] * 4
            length = int.from_bytes(self.buffer[5:8], "big")
            start = head + 4 * self.header_digest
            whole = start + (length + 3 & ~3) + (4 if self.data_digest and length else 0)
            if len(self.buffer) < whole:
                return
            pdu = Pdu(self.buffer[:48], self.buffer[start:start + length])
            self.buffer = self.buffer[whole:]
            yield pdu


class Task:
    """A command that was sent and not answered yet."""

    def __init__(self, pdu, first_burst):
        self.read, self.write, self.edtl = bool(pdu.flags & 0x40), bool(pdu.flags & 0x20), pdu.word(20)
        self.sent = len(pdu.data)         # by the initiator
        self.asked = self.sent            # end of what needs no R2T or has had one
        self.first_burst = first_burst    # unsolicited data may come up to here
        self.unsolicited = self.write and not pdu.flags & 0x80
        self.came = self.data_sn = self.r2t_sn = self.sequence = 0
        self.r2ts = {}                    # TTT -> bytes still owed


class Session:
    """One connection's laws. Methods return nothing; what is wrong goes to self.wrong."""

    def __init__(self):
        self.wrong, self.tasks, self.functions, self.aborted = [], {}, {}, set()
        self.uncertain = set()            # tags that a function for many tasks may have ended
        self.keys = {"MaxBurstLength": "262144", "FirstBurstLength": "65536", "MaxOutstandingR2T": "1"}
        self.initiator_segment = 8192     # MaxRecvDataSegmentLength of the initiator
        self.full, self.logged_out = False, False
        self.sent_cmdsn = self.expcmdsn = self.maxcmdsn = self.statsn = None
        self.others = set()               # tags of pings, texts, logouts

    def law(self, holds, what, pdu):
        if not holds:
            self.wrong.append(f"{what}: {pdu.header.hex(' ', 4)}")

    def number(self, key):
        return int(self.keys[key])

    # ------------------------------------------------ what the initiator sends

    def sent(self, pdu):
        if pdu.opcode == LOGIN:
            self._text(pdu.data, offered=True)
        self.header_sent(pdu)
        if pdu.opcode == COMMAND:
            self.aborted.discard(pdu.itt)
            self.uncertain.discard(pdu.itt)
            self.tasks[pdu.itt] = Task(pdu, min(self.number("FirstBurstLength"), pdu.word(20)))
        elif pdu.opcode == TASK:
            self.functions[pdu.itt] = (pdu.flags & 0x7F, pdu.word(20))
        elif pdu.opcode in (NOP_OUT, TEXT, LOGOUT) and pdu.itt != NO_TAG:
            self.others.add(pdu.itt)
        elif pdu.opcode == DATA_OUT and pdu.itt in self.tasks:
            self._data_out(self.tasks[pdu.itt], pdu)

    def header_sent(self, pdu):
        """The target may count a command whose data is still under way."""
        if pdu.opcode in (NOP_OUT, COMMAND, TASK, LOGIN, TEXT, LOGOUT):
            after = pdu.word(24) + (0 if pdu.immediate else 1) & 0xFFFFFFFF
            if self.sent_cmdsn is None or before(self.sent_cmdsn, after):
                self.sent_cmdsn = after

    def _data_out(self, task, pdu):
        task.sent += len(pdu.data)
        ttt = pdu.word(20)
        if ttt == NO_TAG:
            task.asked += len(pdu.data)
            task.unsolicited = not pdu.flags & 0x80
        elif ttt in task.r2ts:
            task.r2ts[ttt] -= len(pdu.data)
            if task.r2ts[ttt] <= 0:
                del task.r2ts[ttt]

    def _text(self, data, offered):
        """Offers of MaxRecvDataSegmentLength are declarations; what the target answers is what is in force."""
        for item in data.split(b"\0"):
            key, _, value = item.decode(errors="replace").partition("=")
            if offered and key == "MaxRecvDataSegmentLength":
                self.initiator_segment = int(value, 0)
            elif not offered:
                self.keys[key] = value

    # ------------------------------------------------ what the target sends

    def received(self, pdu):
        self.law(not self.logged_out, "a PDU after the Logout Response", pdu)
        if pdu.opcode == LOGIN_RESPONSE:
            self._text(pdu.data, offered=False)
            if pdu.word(36) >> 24:
                return  # refused: its numbers mean nothing
            self.full = pdu.flags & 0x83 == 0x83
        self._command_window(pdu)
        self._status_number(pdu)
        handler = {DATA_IN: self._data_in, R2T: self._r2t, RESPONSE: self._response, TASK_RESPONSE: self._function,
                   NOP_IN: self._other, TEXT_RESPONSE: self._other, LOGOUT_RESPONSE: self._other}.get(pdu.opcode)
        if handler:
            handler(pdu)
        elif pdu.opcode not in (LOGIN_RESPONSE, ASYNC, REJECT):
            self.law(False, "unknown opcode", pdu)

    def _command_window(self, pdu):
        expected, most = pdu.word(28), pdu.word(32)
        if self.expcmdsn is not None:
            self.law(not before(expected, self.expcmdsn), "ExpCmdSN goes back", pdu)
            self.law(not before(most, self.maxcmdsn), "MaxCmdSN goes back", pdu)
        self.law(not before(self.sent_cmdsn, expected), "ExpCmdSN beyond what was sent", pdu)
        self.law(not before(most, expected - 1 & 0xFFFFFFFF), "MaxCmdSN below ExpCmdSN - 1", pdu)
        self.expcmdsn, self.maxcmdsn = expected, most

    def _status_number(self, pdu):
        if pdu.opcode == DATA_IN and not pdu.flags & 1:
            return
        number = pdu.word(24)
        if self.statsn is not None:
            self.law(number == self.statsn, f"StatSN is not {self.statsn}", pdu)
        advances = pdu.opcode != R2T and not (pdu.opcode == NOP_IN and pdu.itt == NO_TAG)
        self.statsn = number + advances & 0xFFFFFFFF

    def _find(self, pdu):
        self.law(pdu.itt not in self.aborted, "something of a task after the answer to its ABORT TASK", pdu)
        task = self.tasks.get(pdu.itt)
        self.law(task or pdu.itt in self.aborted | self.uncertain, "for a tag that is not outstanding", pdu)
        return task

    def _data_in(self, pdu):
        task = self._find(pdu)
        if not task:
            return
        self.law(task.read, "Data-In for a command that reads nothing", pdu)
        self.law(pdu.word(36) == task.data_sn, f"DataSN is not {task.data_sn}", pdu)
        self.law(pdu.word(40) == task.came or not pdu.data, f"offset is not {task.came}", pdu)
        self.law(len(pdu.data) <= self.initiator_segment, "a segment longer than the initiator takes", pdu)
        task.data_sn += 1
        task.came += len(pdu.data)
        task.sequence += len(pdu.data)
        self.law(task.came <= task.edtl, "Data-In beyond the expected length", pdu)
        self.law(task.sequence <= self.number("MaxBurstLength"), "a sequence longer than MaxBurstLength", pdu)
        if pdu.flags & 0x80:
            task.sequence = 0
        if pdu.flags & 1:
            self.law(pdu.flags & 0x80, "status without F", pdu)
            self._ended(task, pdu, pdu.flags & (OVERFLOW | UNDERFLOW), pdu.word(44))

    def _r2t(self, pdu):
        task = self._find(pdu)
        if not task:
            return
        offset, length = pdu.word(40), pdu.word(44)
        self.law(task.write, "R2T for a command that writes nothing", pdu)
        self.law(pdu.word(36) == task.r2t_sn, f"R2TSN is not {task.r2t_sn}", pdu)
        self.law(1 <= length <= self.number("MaxBurstLength"), "desired length", pdu)
        self.law(offset + length <= task.edtl, "R2T beyond the expected length", pdu)
        self.law(offset >= task.asked or task.unsolicited, "R2T for what was asked or sent already", pdu)
        self.law(pdu.word(20) != NO_TAG and pdu.word(20) not in task.r2ts, "target transfer tag", pdu)
        task.r2t_sn += 1
        task.asked = max(task.asked, offset + length)
        task.r2ts[pdu.word(20)] = length
        self.law(len(task.r2ts) <= self.number("MaxOutstandingR2T"), "more R2Ts than MaxOutstandingR2T", pdu)

    def _response(self, pdu):
        task = self._find(pdu)
        if task:
            self.law(task.sequence == 0, "SCSI Response inside a Data-In sequence", pdu)
            self._ended(task, pdu, pdu.flags & (OVERFLOW | UNDERFLOW), pdu.word(44))

    def _ended(self, task, pdu, kind, residual):
        good = pdu.header[3] == 0 and pdu.header[2] == 0 or pdu.opcode == DATA_IN
        moved = task.came if task.read else min(task.sent, task.edtl)
        self.law(kind != OVERFLOW | UNDERFLOW, "overflow and underflow", pdu)
        if kind == UNDERFLOW:
            self.law(residual <= task.edtl, "underflow of more than was expected", pdu)
            self.law(not task.read or moved + residual == task.edtl, f"underflow, {moved} of {task.edtl} came", pdu)
        elif good and (task.read or task.write):
            self.law(moved == task.edtl, f"GOOD without residual, {moved} of {task.edtl}", pdu)
        del self.tasks[pdu.itt]

    def _function(self, pdu):
        function, tag = self.functions.pop(pdu.itt, (None, None))
        self.law(function is not None, "an answer to no task management function", pdu)
        if function == ABORT_TASK and pdu.header[2] == 0 and tag in self.tasks:
            del self.tasks[tag]
            self.aborted.add(tag)
        elif function and function > ABORT_TASK and pdu.header[2] == 0:
            self.uncertain |= self.tasks.keys()
            self.tasks.clear()

    def _other(self, pdu):
        if pdu.itt != NO_TAG:
            self.law(pdu.itt in self.others, "an answer to nothing", pdu)
            if pdu.opcode != TEXT_RESPONSE or pdu.flags & 0x80:
                self.others.discard(pdu.itt)
        self.logged_out = pdu.opcode == LOGOUT_RESPONSE and pdu.header[2] == 0


class Link:
    """One connection through the checker."""

    def __init__(self, initiator, target):
        self.ends = {initiator: target, target: initiator}
        self.initiator = initiator
        self.streams = {initiator: Stream(), target: Stream()}
        self.session = Session()

    def arrived(self, end, data):
        pdus, session = 0, self.session
        for pdu in self.streams[end].take(data):
            pdus += 1
            if end is self.initiator:
                session.sent(pdu)
                continue
            session.received(pdu)
            if session.full and pdu.opcode == LOGIN_RESPONSE:  # from the next PDU on, both ways
                for stream in self.streams.values():
                    stream.header_digest = session.keys.get("HeaderDigest") == "CRC32C"
                    stream.data_digest = session.keys.get("DataDigest") == "CRC32C"
        if end is self.initiator and len(self.streams[end].buffer) >= 48:
            session.header_sent(Pdu(self.streams[end].buffer[:48], b""))
        return pdus


class Watch:
    """The checker on a port of its own in front of a portal of a daemon. A context manager."""

    def __init__(self, daemon, portal=0):
        host, _, port = daemon.portal(portal).rpartition(":")
        self.target = (host.strip("[]"), int(port))
        self.port = process.free_port()
        self.pdus, self.links, self.open = 0, [], {}
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.stopping = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.finish()

    def through(self, url):
        """The URL of an initiator, by way of the checker."""
        scheme, _, rest = url.partition("://")
        user, at, rest = rest.rpartition("@")
        return f"{scheme}://{user}{at}127.0.0.1:{self.port}/{rest.partition('/')[2]}"

    def finish(self):
        """Stops; everything that was against the law, over all connections."""
        self.stopping = True
        self.thread.join(10)
        return [wrong for link in self.links for wrong in link.session.wrong]

    def _run(self):
        while not self.stopping:
            for key, _ in self.selector.select(0.05):
                if key.fileobj is self.listener:
                    self._accept()
                else:
                    self._forward(key.fileobj)
        for end in [self.listener, *self.open]:
            end.close()

    def _accept(self):
        initiator, _ = self.listener.accept()
        try:
            target = socket.create_connection(self.target, 5)
        except OSError:
            initiator.close()  # as the target would have: nobody listens
            return
        link = Link(initiator, target)
        self.links.append(link)
        for end in (initiator, target):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.open[end] = link
            self.selector.register(end, selectors.EVENT_READ)

    def _forward(self, end):
        link = self.open.get(end)
        if not link:
            return
        try:
            data = end.recv(262144)
            self.pdus += link.arrived(end, data)
            if data:
                link.ends[end].sendall(data)
        except OSError:
            data = b""
        if not data:
            for each in link.ends:
                self.selector.unregister(each)
                del self.open[each]
                each.close()
