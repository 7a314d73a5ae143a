#!/usr/bin/python3
"""Wrong logins against a running target, by the rows B009 to B048 of the list of bad inputs.

  hostile_login.py HOST PORT TARGET [--chap NAME USER SECRET] [--mutual NAME USER SECRET OWN_USER OWN_SECRET] [PATTERN ...]

TARGET must admit any initiator without CHAP; --chap and --mutual name targets that want it. Each row is a name, what is
sent, and the login statuses that are right; "close" is a connection closed without a word. After a refusal the target must
close. The last line is the total; exit status 0 when no row failed.
"""
import argparse
import sys
import traceback

import iscsi_pdu as iscsi
from iscsi_pdu import CONTINUE, FULL_FEATURE, OPERATIONAL, SECURITY, Connection, Pdu, pairs

INITIATOR = "iqn.2026-11.io.lunette.test:hostile"
ERROR, AUTH, NOT_FOUND, VERSION, MISSING, TYPE, NO_SESSION, INVALID, RESOURCES = (
    0x0200, 0x0201, 0x0203, 0x0205, 0x0207, 0x0209, 0x020A, 0x020B, 0x0302)
CLOSE = "close"


def names(options, *more, **named):
    return pairs(f"InitiatorName={INITIATOR}", "SessionType=Normal", f"TargetName={options.target}", *more, **named)


# ---------------------------------------------------------------- rows: one first request each
# (row, what, request, right outcomes); request(connection, options) gives the PDU or the bytes to send.

def first(text, csg=SECURITY, nsg=OPERATIONAL, **fields):
    """A first request with this text; a str names the target in "{target}"."""
    def request(connection, options):
        said = text if isinstance(text, bytes) else pairs(*text.format(target=options.target).split("\n"))
        return connection.login_pdu(csg, nsg, said, **fields)
    return request


def good(csg=SECURITY, nsg=OPERATIONAL, ahs=b"", announced=None, **fields):
    """A first request with good text and something wrong in its header."""
    def request(connection, options):
        pdu = connection.login_pdu(csg, nsg, names(options), **fields)
        if ahs:
            pdu.ahs, pdu.ahs_words = ahs, len(ahs) // 4
        pdu.announced = announced
        return pdu
    return request


def raw(data):
    return lambda connection, options: data


def opcode(number):
    return lambda connection, options: Pdu(iscsi.IMMEDIATE | number, flags=0x80, itt=1)


NAME = f"InitiatorName={INITIATOR}\n"
FIRST_REQUESTS = [
    ("B009", "TLS ClientHello", raw(b"\x16\x03\x01\x02\x00\x01" + bytes(300)), {CLOSE}),
    ("B009", "HTTP", raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".ljust(2048)), {CLOSE}),
    ("B009", "SSH banner", raw(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n".ljust(2048)), {CLOSE}),
    *[("B016", f"opcode {number:#04x}", opcode(number), {CLOSE, INVALID}) for number in range(0x40) if number != 3],
    ("B017", "DataSegmentLength 8193", good(announced=8193), {CLOSE, ERROR}),
    ("B017", "DataSegmentLength 65536", good(announced=65536), {CLOSE, ERROR}),
    ("B017", "DataSegmentLength 0xffffff", good(announced=0xFFFFFF), {CLOSE, ERROR}),
    ("B018", "TotalAHSLength 255", good(ahs=bytes(1020)), {CLOSE, ERROR}),
    ("B018", "TotalAHSLength 1", good(ahs=bytes(4)), {CLOSE, ERROR}),
    ("B019", "text without NUL", first(b"InitiatorName=" + INITIATOR.encode()), {ERROR}),
    ("B019", "text without =", first(b"InitiatorName\0"), {ERROR}),
    ("B019", "=value", first(b"=value\0"), {ERROR}),
    ("B019", "key=", first(b"Foo=\0"), {ERROR}),
    ("B019", "one NUL", first(b"\0"), {ERROR}),
    ("B019", "8192 NULs", first(bytes(8192)), {ERROR}),
    ("B019", "key of 64 bytes", first(NAME + "TargetName={target}\n" + "k" * 64 + "=1"), {ERROR}),
    ("B020", "2048 unknown keys", first(b"a=b\0" * 2048), {ERROR}),
    ("B024", "T and C together", good(flags=0xC1), {ERROR}),
    ("B024", "NSG = CSG = 0", good(flags=0x80), {ERROR}),
    ("B024", "NSG = CSG = 1", good(flags=0x85), {ERROR}),
    ("B024", "NSG < CSG", good(flags=0x84), {ERROR}),
    ("B024", "NSG 2", good(flags=0x82), {ERROR}),
    ("B024", "CSG 2", good(flags=0x8B), {ERROR}),
    ("B024", "CSG 3", good(flags=0x0C), {ERROR}),
    ("B024", "version 1 at least", good(version_max=1, version_min=1), {VERSION}),
    ("B042", "no InitiatorName", first("SessionType=Normal\nTargetName={target}"), {MISSING}),
    ("B042", "empty InitiatorName", first("InitiatorName=\nTargetName={target}"), {ERROR}),
    ("B042", "224 bytes", first("InitiatorName=iqn.2026-11.io.lunette:" + "a" * 201 + "\nTargetName={target}"), {ERROR}),
    ("B042", "not iqn", first("InitiatorName=host\nTargetName={target}"), {ERROR}),
    ("B042", "upper case", first("InitiatorName=IQN.2026-11.io.lunette:A\nTargetName={target}"), {ERROR}),
    ("B042", "UTF-8", first("InitiatorName=iqn.2026-11.io.lünette\nTargetName={target}"), {ERROR}),
    ("B042", "path", first("InitiatorName=../../x\nTargetName={target}"), {ERROR}),
    ("B042", "control characters", first("InitiatorName=iqn.2026-11.io.lunette:\x1b[0m\nTargetName={target}"), {ERROR}),
    ("B042", "no TargetName", first(NAME + "SessionType=Normal"), {MISSING}),
    ("B043", "unknown target", first(NAME + "TargetName={target}x"), {NOT_FOUND}),
    ("B043", "short name", first(NAME + "TargetName=t"), {NOT_FOUND}),
    ("B043", "NUL inside", first(NAME.encode().replace(b"\n", b"\0") + b"TargetName=iqn\0.x\0"), {ERROR}),
    ("B043", "session type", first(NAME + "SessionType=Other\nTargetName={target}"), {TYPE}),
    ("B045", "reserved word offered", first(NAME + "TargetName={target}\nMaxBurstLength=Reject", OPERATIONAL, FULL_FEATURE), {ERROR}),
    ("B045", "key twice", first(NAME + "TargetName={target}\nInitialR2T=No\nInitialR2T=No", OPERATIONAL, FULL_FEATURE), {ERROR}),
    ("B045", "operational key in security stage", first(NAME + "TargetName={target}\nInitialR2T=No"), {ERROR}),
    ("B048", "unknown TSIH", first(NAME + "TargetName={target}", OPERATIONAL, FULL_FEATURE, tsih=0x7777), {NO_SESSION}),
]

# ---------------------------------------------------------------- answers that must come (status 0): offer, answer

ANSWERS = [
    ("B045", "MaxBurstLength", value, {"Reject"})
    for value in ("-1", "0", "511", "16777216", "4294967301", "0x", "1 000", "00512", "512~1024", "18446744073709552128")
] + [
    ("B045", "MaxBurstLength", "0x200", {"512"}), ("B045", "MaxBurstLength", "0X1F00", {"7936"}),
    ("B045", "ErrorRecoveryLevel", "3", {"Reject"}), ("B045", "InitialR2T", "yes", {"Reject"}),
    ("B045", "MaxRecvDataSegmentLength", "1", {"Reject", None}),
    ("B047", "IFMarker", "Yes", {"No", "Reject"}), ("B047", "OFMarker", "Yes", {"No", "Reject"}),
    ("B047", "IFMarkInt", "2048~8192", {"Reject"}), ("B047", "OFMarkInt", "2048", {"Reject"}),
    ("B047", "X-com.example.thing", "1", {"NotUnderstood"}), ("B047", "Unheard", "Of", {"NotUnderstood"}),
    ("keys", "MaxConnections", "8", {"1"}), ("keys", "ErrorRecoveryLevel", "2", {"0"}),
    ("keys", "DataPDUInOrder", "No", {"Yes"}), ("keys", "TaskReporting", "FastAbort", {"Reject"}),
]

# ---------------------------------------------------------------- CHAP: what is said when, right statuses

METHODS = [  # (row, first text behind the names, CSG, NSG): all must end in 0x0201
    ("B041", "AuthMethod=None", SECURITY, OPERATIONAL), ("B041", "AuthMethod=Reject", SECURITY, None),
    ("B041", "AuthMethod=SRP", SECURITY, None), ("B041", "AuthMethod=", SECURITY, None),
    ("B041", "", SECURITY, FULL_FEATURE), ("B041", "", OPERATIONAL, FULL_FEATURE), ("B041", "", SECURITY, OPERATIONAL),
    ("B027", "CHAP_N=x", SECURITY, None), ("B027", "CHAP_R=0x00", SECURITY, None),
]
ALGORITHMS = [("", None), ("56", None), ("05", None), ("9", None), ("5;6", None), ("5,6,7,8", "5"), ("9,8", "8"),
              (",".join(["9"] * 300) + ",6", "6")]
NAMES = ["{user}x", "", "{user:.1}", "%n%s", "\n", "a" * 255, "a" * 256, "a" * 8000]
RESPONSES = ["", "0x", "0x" + "0" * 31, "0x" + "0" * 32, "0x" + "0" * 33, "0x" + "0" * 2048, "0b" + "A" * 127, "0bAAAA",
             "0bAAAAAAAAAAAAAAAAAAAAA===", "0bAAAA AAAA", "0bAA==AAAA", "0xZZ", "zero"]
CHALLENGES = [("1", "0x" + "ab" * 1024, True), ("0x2a", "0bQUJD", True), ("-1", "0x01", False), ("256", "0x01", False),
              ("0x100", "0x01", False), ("0b", "0x01", False), ("1e2", "0x01", False), ("", "0x01", False), ("1", "", False),
              ("1", "0x", False), ("1", "0xZZ", False), ("1", "0x" + "ab" * 1025, False), ("1", "0x" + "ab" * 3500, False)]


class Run:
    """Counts, prints, and opens connections."""

    def __init__(self, options):
        self.options, self.passed, self.failed = options, 0, 0

    def connect(self):
        return Connection(self.options.host, self.options.port, self.options.timeout)

    def row(self, row, what, check):
        """check() raises AssertionError when the target is wrong."""
        title = f"{row} {what}"
        if self.options.patterns and not any(pattern in title for pattern in self.options.patterns):
            return
        try:
            check()
            self.passed += 1
        except (AssertionError, OSError, KeyError, ValueError) as wrong:
            self.failed += 1
            print(f"FAILED: {title}: {type(wrong).__name__} {wrong}")
            if self.options.verbose:
                traceback.print_exc()

    def outcome(self, connection):
        """The status of the next response, or CLOSE; after a refusal the target must close."""
        try:
            response = connection.login_response()
        except ConnectionError:
            return CLOSE
        assert not response.status or connection.is_closed(), f"{response.status:#06x}, but not closed"
        return response.status

    def expect(self, outcome, right):
        shown = outcome if outcome == CLOSE else f"{outcome:#06x}"
        assert outcome in right, f"{shown}, not {', '.join(r if r == CLOSE else f'{r:#06x}' for r in right)}"

    # ------------------------------------------------ the kinds of rows

    def first_request(self, request, right):
        with self.connect() as connection:
            sent = request(connection, self.options)
            try:
                connection.send_bytes(sent if isinstance(sent, bytes) else sent.encode())
            except ConnectionError:
                pass  # closed while we were talking; what it said is still there
            self.expect(self.outcome(connection), right)

    def answer(self, key, value, right):
        with self.connect() as connection:
            response = connection.exchange(OPERATIONAL, FULL_FEATURE, names(self.options, f"{key}={value}"))
            self.expect(response.status, {0})
            said = iscsi.all_values(response.data)
            got = [v for v in said.get(key, []) if key != "MaxRecvDataSegmentLength" or not v.isdigit()] or [None]
            assert got[0] in right and len(got) == 1, f"{key}={value} answered {got}"

    def continued(self, pieces, size, right):
        """pieces requests with C=1 and size bytes each."""
        with self.connect() as connection:
            for _ in range(pieces):
                try:
                    connection.send(connection.login_pdu(SECURITY, None, b"a" * size, more=True))
                except ConnectionError:
                    return
                outcome = self.outcome(connection)
                if outcome != 0:
                    self.expect(outcome, right)
                    return
        raise AssertionError(f"{pieces} requests of {size} bytes with C=1 were taken")

    def changed(self, field, value):
        """A field that must stay the same changes in the second request."""
        with self.connect() as connection:
            self.expect(connection.exchange(SECURITY, OPERATIONAL, names(self.options)).status, {0})
            pdu = connection.login_pdu(OPERATIONAL, FULL_FEATURE)
            setattr(pdu, field, value)
            connection.send(pdu)
            self.expect(self.outcome(connection), {ERROR, CLOSE})

    def cut(self, at):
        """A first text in two requests is the same as in one."""
        text = names(self.options, "AuthMethod=None")
        with self.connect() as connection:
            connection.send(connection.login_pdu(SECURITY, None, text[:at], more=True))
            response = connection.login_response()
            assert response.status == 0 and not response.data and not response.flags & (CONTINUE | 0x80), response
            response = connection.exchange(SECURITY, OPERATIONAL, text[at:])
            assert response.status == 0 and iscsi.values(response.data)["AuthMethod"] == "None", response

    def long_answer(self):
        """200 unknown keys of 36 bytes: the answer needs two responses."""
        offers = {f"k{n:035d}": "v" for n in range(200)}
        with self.connect() as connection:
            self.expect(connection.exchange(SECURITY, OPERATIONAL, names(self.options)).status, {0})
            response = connection.exchange(OPERATIONAL, FULL_FEATURE, pairs(**offers))
            self.expect(response.status, {0, ERROR})
            said = iscsi.values(response.data)
            assert response.status or all(said[key] == "NotUnderstood" for key in offers), said

    # ------------------------------------------------ CHAP

    def method(self, target, text, csg, nsg):
        with self.connect() as connection:
            said = pairs(f"InitiatorName={INITIATOR}", f"TargetName={target}", *([text] if text else []))
            connection.send(connection.login_pdu(csg, nsg, said))
            self.expect(self.outcome(connection), {AUTH})

    def agreed(self, target):
        """A connection on which CHAP was agreed."""
        connection = self.connect()
        response = connection.exchange(SECURITY, None, pairs(InitiatorName=INITIATOR, TargetName=target, AuthMethod="None,CHAP"))
        assert response.status == 0 and iscsi.values(response.data)["AuthMethod"] == "CHAP", response
        return connection

    def algorithm(self, target, offer, choice):
        with self.agreed(target) as connection:
            connection.send(connection.login_pdu(SECURITY, None, pairs(CHAP_A=offer)))
            if choice is None:
                self.expect(self.outcome(connection), {AUTH})
                return
            said = iscsi.values(connection.login_response().data)
            assert said["CHAP_A"] == choice, said

    def proof(self, chap, right, name=None, response=None, more=(), algorithms="5", encode=iscsi.hexadecimal):
        """CHAP to its end. name, response: instead of the right ones. more: keys, or a function of the challenge."""
        target, user, secret = chap
        with self.agreed(target) as connection:
            _, algorithm, identifier, challenge = connection.challenge(algorithms)
            good_response = encode(iscsi.chap_response(algorithm, identifier, secret, challenge))
            more = more(challenge) if callable(more) else more
            connection.send(connection.login_pdu(SECURITY, OPERATIONAL, pairs(
                f"CHAP_N={user if name is None else name}", f"CHAP_R={good_response if response is None else response}", *more)))
            self.expect(self.outcome(connection), right)

    def reflected(self, chap):
        """The challenge of one connection comes back on another, which must not answer it (RFC 7143 12.1.3)."""
        with self.agreed(chap[0]) as victim:
            _, _, identifier, challenge = victim.challenge("5")
            self.proof(chap, {AUTH, CLOSE}, more=[f"CHAP_I={identifier}", "CHAP_C=0X" + challenge.hex().upper()])

    def transit_without_proof(self, target):
        with self.agreed(target) as connection:
            response = connection.exchange(SECURITY, FULL_FEATURE)
            assert response.status == AUTH or not response.flags & 0x80, response
            if response.status == 0:
                connection.send(connection.login_pdu(OPERATIONAL, FULL_FEATURE))
                self.expect(self.outcome(connection), {ERROR, AUTH})

    def whole(self, target, chap=None, mutual=None, **offers):
        with self.connect() as connection:
            self.expect(connection.login(INITIATOR, target, chap, mutual, **offers).status, {0})
            connection.logout()


def plain_rows(run):
    options = run.options
    run.row("good", "normal login", lambda: run.whole(options.target))
    run.row("good", "normal login with digests", lambda: run.whole(options.target, HeaderDigest="CRC32C", DataDigest="CRC32C"))
    for row, what, request, right in FIRST_REQUESTS:
        run.row(row, what, lambda request=request, right=right: run.first_request(request, right))
    run.row("B020", "answer of several responses", run.long_answer)
    run.row("B022", "1000 requests of 66 bytes with C=1", lambda: run.continued(1000, 66, {RESOURCES, CLOSE}))
    run.row("B022", "text of 80 KiB", lambda: run.continued(10, 8192, {RESOURCES, CLOSE}))
    run.row("B023", "C=1 without data", lambda: run.continued(10000, 0, {ERROR, RESOURCES, CLOSE}))
    for at in (0, 1, 13, 14, 15, 60, 90):
        run.row("C bit", f"text cut at {at}", lambda at=at: run.cut(at))
    for field, value in (("isid", b"\x80\x12\x34\x56\x00\x02"), ("itt", 99), ("tsih", 7), ("cid", 9), ("cmdsn", 55),
                         ("version_max", 3), ("flags", 0x81)):
        run.row("B025", f"{field} changes", lambda field=field, value=value: run.changed(field, value))
    for row, key, value, right in ANSWERS:
        run.row(row, f"{key}={value}", lambda key=key, value=value, right=right: run.answer(key, value, right))
    run.row("good", "normal login afterwards", lambda: run.whole(options.target))


def chap_rows(run, chap):
    target, user, secret = chap
    run.row("good", "CHAP", lambda: run.whole(target, (user, secret)))
    for row, text, csg, nsg in METHODS:
        run.row(row, f"{text or 'nothing'} at {csg}", lambda t=text, c=csg, n=nsg: run.method(target, t, c, n))
    run.row("B025", "transit without proof", lambda: run.transit_without_proof(target))
    for offer, choice in ALGORITHMS:
        run.row("B026", f"CHAP_A={offer[:20]}", lambda o=offer, c=choice: run.algorithm(target, o, c))
    for form in NAMES:
        name = form.format(user=user)
        run.row("B028", f"CHAP_N={name[:20]!r}", lambda n=name: run.proof(chap, {AUTH}, name=n))
    for response in RESPONSES:
        run.row("B032", f"CHAP_R={response[:20]}", lambda r=response: run.proof(chap, {AUTH}, response=r))
    for algorithm in "5678":
        for encode in (iscsi.hexadecimal, lambda data: "0X" + data.hex().upper(), lambda data: "0x" + data.hex().upper(),
                       iscsi.base64_text):
            run.row("B035", f"algorithm {algorithm}", lambda a=algorithm, e=encode: run.proof(chap, {0}, algorithms=a, encode=e))
    run.row("B037", "mutual not configured", lambda: run.proof(chap, {AUTH}, more=["CHAP_I=1", "CHAP_C=0x0102"]))


def mutual_rows(run, mutual):
    target, user, secret, own_user, own_secret = mutual
    chap = (target, user, secret)
    run.row("good", "mutual CHAP", lambda: run.whole(target, (user, secret), (own_user, own_secret)))
    run.row("B037", "mutual not wanted", lambda: run.proof(chap, {AUTH}))
    for identifier, challenge, right in CHALLENGES:
        run.row("B030" if challenge == "0x01" else "B031", f"CHAP_I={identifier} CHAP_C={challenge[:12]}",
                lambda i=identifier, c=challenge, r=right: run.proof(chap, {0} if r else {AUTH},
                                                                     more=[f"CHAP_I={i}", f"CHAP_C={c}"]))
    run.row("B036", "challenge of another connection", lambda: run.reflected(chap))
    run.row("B036", "challenge of the same connection", lambda: run.proof(
        chap, {AUTH, CLOSE}, more=lambda challenge: ["CHAP_I=1", f"CHAP_C={iscsi.base64_text(challenge)}"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("target")
    parser.add_argument("patterns", nargs="*", help="only rows whose title contains one of these")
    parser.add_argument("--chap", nargs=3, metavar=("NAME", "USER", "SECRET"))
    parser.add_argument("--mutual", nargs=5, metavar=("NAME", "USER", "SECRET", "OWN_USER", "OWN_SECRET"))
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds for any one answer")
    parser.add_argument("--verbose", action="store_true")
    run = Run(parser.parse_args())
    plain_rows(run)
    if run.options.chap:
        chap_rows(run, run.options.chap)
    if run.options.mutual:
        mutual_rows(run, run.options.mutual)
    print(f"hostile login: {run.passed} passed, {run.failed} failed, 0 skipped")
    return 1 if run.failed or not run.passed else 0


if __name__ == "__main__":
    sys.exit(main())
