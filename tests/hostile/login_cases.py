"""Wrong logins (B016 to B048): tables of first requests, of keys and their answers, of CHAP exchanges.

What is refused with one of the statuses is closed afterwards; "close" is a connection closed without a word.
"""
import iscsi_pdu as iscsi
from harness.daemon import TARGET
from initiator import NAME as INITIATOR
from initiator import Initiator
from iscsi_pdu import CONTINUE, FULL_FEATURE, OPERATIONAL, SECURITY, Pdu, pairs
from world import Case

CLASS = "login"
ERROR, AUTH, NOT_FOUND, VERSION, MISSING, TYPE, NO_SESSION, INVALID, RESOURCES = (
    0x0200, 0x0201, 0x0203, 0x0205, 0x0207, 0x0209, 0x020A, 0x020B, 0x0302)
CLOSE = "close"
SECRET, OWN_SECRET = "twelve-byte-secret", "another-long-secret"
CHAP, MUTUAL = ("iqn.2026-11.io.lunette:chap", "user", SECRET), ("iqn.2026-11.io.lunette:mutual", "user", SECRET)
OWN = ("target", OWN_SECRET)
LEGAL_NAMES = ("0x2a2a2a2a", "0bQUJDREVG", "0X2A", "0B2A")  # user names that look like binary values (B029)
CLOSED_TARGET = "iqn.2026-11.io.lunette:of-another-tenant"


def make(world_class, env):
    world = world_class(env)
    rest, one_way = world.daemon.rest, {"user": "user", "secret": SECRET}
    rest.put(f"/targets/{CHAP[0]}", {"auth": {"chap": one_way}})
    rest.put(f"/targets/{MUTUAL[0]}", {"auth": {"chap": one_way, "mutual": {"user": OWN[0], "secret": OWN[1]}}})
    for number, name in enumerate(LEGAL_NAMES):
        rest.put(f"/targets/{CHAP[0]}-{number}", {"auth": {"chap": {"user": name, "secret": SECRET}}})
    rest.put(f"/targets/{CLOSED_TARGET}", {})
    rest.put(f"/targets/{CLOSED_TARGET}/initiators/iqn.2026-11.io.lunette.test:friend", {})
    return world


def names(*more, target=TARGET, **named):
    return pairs(f"InitiatorName={INITIATOR}", "SessionType=Normal", f"TargetName={target}", *more, **named)


# ---------------------------------------------------------------- rows: one first request each
# (rows, what, request, right outcomes); request(connection) gives the PDU or the bytes to send.

def first(text, csg=SECURITY, nsg=OPERATIONAL, **fields):
    """A first request with this text; a str names the target in "{target}"."""
    def request(connection):
        said = text if isinstance(text, bytes) else pairs(*text.format(target=TARGET).split("\n"))
        return connection.login_pdu(csg, nsg, said, **fields)
    return request


def good(csg=SECURITY, nsg=OPERATIONAL, ahs=b"", announced=None, **fields):
    """A first request with good text and something wrong in its header."""
    def request(connection):
        pdu = connection.login_pdu(csg, nsg, names(), **fields)
        if ahs:
            pdu.ahs, pdu.ahs_words = ahs, len(ahs) // 4
        pdu.announced = announced
        return pdu
    return request


def opcode(number):
    return lambda connection: Pdu(iscsi.IMMEDIATE | number, flags=0x80, itt=1)


NAME = f"InitiatorName={INITIATOR}\n"
FIRST_REQUESTS = [
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


# ---------------------------------------------------------------- steps

def outcome(connection):
    """The status of the next response, or CLOSE; after a refusal the target must close."""
    try:
        response = connection.login_response()
    except ConnectionError:
        return CLOSE
    assert not response.status or connection.is_closed(), f"{response.status:#06x}, but not closed"
    return response.status


def expect(got, right):
    def shown(one):
        return one if one == CLOSE else f"{one:#06x}"
    assert got in right, f"{shown(got)}, not {', '.join(map(shown, right))}"


def first_request(world, request, right):
    connection = world.connect()
    sent = request(connection)
    connection.send_or_closed(sent)  # closed while we were talking: what it said is still there
    expect(outcome(connection), right)


def answer(world, key, value, right):
    response = world.connect().exchange(OPERATIONAL, FULL_FEATURE, names(f"{key}={value}"))
    expect(response.status, {0})
    said = iscsi.all_values(response.data)
    got = [v for v in said.get(key, []) if key != "MaxRecvDataSegmentLength" or not v.isdigit()] or [None]
    assert got[0] in right and len(got) == 1, f"{key}={value} answered {got}"


def continued(world, pieces, size, right):
    """pieces requests with C=1 and size bytes each."""
    connection = world.connect()
    for _ in range(pieces):
        try:
            connection.send(connection.login_pdu(SECURITY, None, b"a" * size, more=True))
        except ConnectionError:
            return
        got = outcome(connection)
        if got != 0:
            expect(got, right)
            return
    raise AssertionError(f"{pieces} requests of {size} bytes with C=1 were taken")


def changed(world, field, value):
    """A field that must stay the same changes in the second request."""
    connection = world.connect()
    expect(connection.exchange(SECURITY, OPERATIONAL, names()).status, {0})
    pdu = connection.login_pdu(OPERATIONAL, FULL_FEATURE)
    setattr(pdu, field, value)
    connection.send(pdu)
    expect(outcome(connection), {ERROR, CLOSE})


def cut(world, at):
    """A first text in two requests is the same as in one."""
    text, connection = names("AuthMethod=None"), world.connect()
    connection.send(connection.login_pdu(SECURITY, None, text[:at], more=True))
    response = connection.login_response()
    assert response.status == 0 and not response.data and not response.flags & (CONTINUE | 0x80), response
    response = connection.exchange(SECURITY, OPERATIONAL, text[at:])
    assert response.status == 0 and iscsi.values(response.data)["AuthMethod"] == "None", response


def long_answer(world):
    """200 unknown keys of 36 bytes: the answer needs two responses."""
    offers, connection = {f"k{n:035d}": "v" for n in range(200)}, world.connect()
    expect(connection.exchange(SECURITY, OPERATIONAL, names()).status, {0})
    response = connection.exchange(OPERATIONAL, FULL_FEATURE, pairs(**offers))
    expect(response.status, {0, ERROR})
    said = iscsi.values(response.data)
    assert response.status or all(said[key] == "NotUnderstood" for key in offers), said


def whole(world, target=TARGET, chap=None, mutual=None, **offers):
    connection = world.connect()
    expect(connection.login(INITIATOR, target, chap, mutual, **offers).status, {0})
    connection.logout()


# ---------------------------------------------------------------- CHAP

def method(world, text, csg, nsg):
    connection = world.connect()
    said = pairs(f"InitiatorName={INITIATOR}", f"TargetName={CHAP[0]}", *([text] if text else []))
    connection.send(connection.login_pdu(csg, nsg, said))
    expect(outcome(connection), {AUTH})


def agreed(world, target=CHAP[0]):
    """A connection on which CHAP was agreed."""
    connection = world.connect()
    response = connection.exchange(SECURITY, None, pairs(InitiatorName=INITIATOR, TargetName=target, AuthMethod="None,CHAP"))
    assert response.status == 0 and iscsi.values(response.data)["AuthMethod"] == "CHAP", response
    return connection


def algorithm_offer(world, offer, choice):
    connection = agreed(world)
    connection.send(connection.login_pdu(SECURITY, None, pairs(CHAP_A=offer)))
    if choice is None:
        expect(outcome(connection), {AUTH})
        return
    said = iscsi.values(connection.login_response().data)
    assert said["CHAP_A"] == choice, said


def proof(world, right, chap=CHAP, name=None, response=None, more=(), algorithms="5", encode=iscsi.hexadecimal):
    """CHAP to its end. name, response: instead of the right ones. more: keys, or a function of the challenge."""
    target, user, secret = chap
    connection = agreed(world, target)
    _, algorithm, identifier, challenge = connection.challenge(algorithms)
    good_response = encode(iscsi.chap_response(algorithm, identifier, secret, challenge))
    more = more(challenge) if callable(more) else more
    connection.send(connection.login_pdu(SECURITY, OPERATIONAL, pairs(
        f"CHAP_N={user if name is None else name}", f"CHAP_R={good_response if response is None else response}", *more)))
    expect(outcome(connection), right)
    return connection


def proof_twice(world):
    connection = proof(world, {0})
    connection.send(connection.login_pdu(OPERATIONAL, FULL_FEATURE, pairs("CHAP_R=0x00112233445566778899aabbccddeeff")))
    expect(outcome(connection), {ERROR, AUTH})


def reflected(world):
    """The challenge of one connection comes back on another, which must not answer it (RFC 7143 12.1.3)."""
    victim = agreed(world, MUTUAL[0])
    _, _, identifier, challenge = victim.challenge("5")
    proof(world, {AUTH, CLOSE}, MUTUAL, more=[f"CHAP_I={identifier}", "CHAP_C=0X" + challenge.hex().upper()])


def transit_without_proof(world):
    connection = agreed(world)
    response = connection.exchange(SECURITY, FULL_FEATURE)
    assert response.status == AUTH or not response.flags & 0x80, response
    if response.status == 0:
        connection.send(connection.login_pdu(OPERATIONAL, FULL_FEATURE))
        expect(outcome(connection), {ERROR, AUTH})


def replay(world):
    """A recorded proof says nothing to another challenge; no two challenges are the same."""
    seen, recorded = set(), None
    for _ in range(20):
        connection = agreed(world)
        _, algorithm, identifier, challenge = connection.challenge("5")
        assert challenge not in seen and len(challenge) >= 16, challenge
        seen.add(challenge)
        recorded = recorded or iscsi.hexadecimal(iscsi.chap_response(algorithm, identifier, SECRET, challenge))
        connection.close()
    proof(world, {AUTH}, response=recorded)


# ---------------------------------------------------------------- sessions

def tenant(world):
    """What is not for us looks like what is not there: the same status, text and about the same time."""
    answers = []
    for target in (CLOSED_TARGET, CLOSED_TARGET + "x", CLOSED_TARGET[:-1], "iqn.2026-11.io.lunette:x"):
        connection = world.connect()
        connection.send(connection.login_pdu(OPERATIONAL, FULL_FEATURE, names(target=target)))
        response = connection.login_response()
        answers.append((response.status, response.data, response.flags))
    assert len(set(answers)) == 1 and answers[0][0] == NOT_FOUND, answers


def same_isid(connection, **fields):
    """A connection that says to be the same initiator port as another."""
    def twin(world, name=INITIATOR):
        made = Initiator(world, name=name)
        made.isid = connection.isid
        for field, value in fields.items():
            setattr(made, field, value)
        return made
    return twin


def no_proof_no_reinstatement(world):
    victim = world.connect()
    expect(victim.login(INITIATOR, CHAP[0], (CHAP[1], SECRET)).status, {0})
    for secret in ("wrong-wrong-wrong", None):
        intruder = same_isid(victim)(world)
        expect(intruder.login(INITIATOR, CHAP[0], (CHAP[1], secret) if secret else None).status, {AUTH})
        assert victim.alive(), "a login that proved nothing ended the session"
    expect(same_isid(victim)(world).login(INITIATOR, CHAP[0], (CHAP[1], SECRET)).status, {0})
    assert victim.outcome() == "close"


def another_name_is_another_session(world):
    mine = world.full()
    other = same_isid(mine)(world, name=INITIATOR + "-other")
    expect(other.login(other.name, TARGET).status, {0})
    assert mine.alive() and other.alive()


def adding_a_connection(world):
    mine = world.full()
    other = same_isid(mine, tsih=mine.tsih)(world)
    other.send(other.login_pdu(OPERATIONAL, FULL_FEATURE, names()))
    expect(outcome(other), {0x0206, NO_SESSION})
    assert mine.alive()


def reinstatement_storm(world):
    """Twenty logins of one initiator port at a time: one is left, and nothing of the others."""
    first_one = world.full()
    storm = [same_isid(first_one)(world) for _ in range(20)]
    for connection in storm:
        connection.send(connection.login_pdu(OPERATIONAL, FULL_FEATURE, names()))
    left = [c for c in storm if c.login_response().status == 0 and not c.is_closed(0.2)]
    assert len(left) <= 1, f"{len(left)} sessions of one initiator port"


def discovery(world, sent):
    """B044: a discovery session is for Text and Logout."""
    connection = world.connect()
    expect(connection.login(INITIATOR).status, {0})
    connection.send(sent(connection))
    assert connection.outcome() in ("reject:04", "close")


# ---------------------------------------------------------------- configuration

def refused_config(world, auth):
    body = world.daemon.rest.put(f"/targets/{TARGET}-config", {"auth": auth}, expect=(400, 422)).json
    assert "secret" in str(body["errors"]), body


def cases():
    yield Case("B029", "normal login with digests", lambda w: whole(w, HeaderDigest="CRC32C", DataDigest="CRC32C"))
    for rows, what, request, right in FIRST_REQUESTS:
        yield Case(rows, what, lambda w, r=request, o=right: first_request(w, r, o), quiet=False)
    yield Case("B020", "answer of several responses", long_answer)
    yield Case("B022", "1000 requests of 66 bytes with C=1", lambda w: continued(w, 1000, 66, {RESOURCES, CLOSE}), quiet=False)
    yield Case("B022", "text of 80 KiB", lambda w: continued(w, 10, 8192, {RESOURCES, CLOSE}), quiet=False)
    yield Case("B023", "C=1 without data", lambda w: continued(w, 10000, 0, {ERROR, RESOURCES, CLOSE}), quiet=False)
    for at in (0, 1, 13, 14, 15, 60, 90):
        yield Case("B022", f"text cut at {at}", lambda w, a=at: cut(w, a))
    for field, value in (("isid", b"\x80\x12\x34\x56\x00\x02"), ("itt", 99), ("tsih", 7), ("cid", 9), ("cmdsn", 55),
                         ("version_max", 3), ("flags", 0x81)):
        yield Case("B025", f"{field} changes", lambda w, f=field, v=value: changed(w, f, v), quiet=False)
    for rows, key, value, right in ANSWERS:
        yield Case(rows, f"{key}={value}", lambda w, k=key, v=value, r=right: answer(w, k, v, r))
    yield from chap_cases()
    yield from session_cases()


def chap_cases():
    for rows, text, csg, nsg in METHODS:
        yield Case(rows, f"{text or 'nothing'} at {csg} to {nsg}", lambda w, t=text, c=csg, n=nsg: method(w, t, c, n), quiet=False)
    yield Case("B025", "transit without proof", transit_without_proof)
    for offer, choice in ALGORITHMS:
        yield Case("B026", f"CHAP_A={offer[:20]}", lambda w, o=offer, c=choice: algorithm_offer(w, o, c))
    yield Case("B027", "CHAP_R twice", proof_twice, quiet=False)
    for form in NAMES:
        name = form.format(user=CHAP[1])
        yield Case("B028", f"CHAP_N={name[:20]!r}", lambda w, n=name: proof(w, {AUTH}, name=n), quiet=False)
    yield Case("B028", "CHAP_N with NUL", lambda w: proof(w, {AUTH, ERROR}, name=CHAP[1] + "\0x"), quiet=False)
    for number, name in enumerate(LEGAL_NAMES):
        yield Case("B029", f"user {name}", lambda w, n=number, u=name: whole(w, f"{CHAP[0]}-{n}", (u, SECRET)))
    for response in RESPONSES:
        yield Case("B032 B033" if response.startswith("0b") else "B032", f"CHAP_R={response[:20]}",
                   lambda w, r=response: proof(w, {AUTH}, response=r), quiet=False)
    for algorithm in "5678":
        for encode in (iscsi.hexadecimal, lambda data: "0X" + data.hex().upper(), lambda data: "0x" + data.hex().upper(),
                       iscsi.base64_text):
            yield Case("B035", f"algorithm {algorithm}", lambda w, a=algorithm, e=encode: proof(w, {0}, algorithms=a, encode=e))
    yield Case("B037", "mutual not configured", lambda w: proof(w, {AUTH}, more=["CHAP_I=1", "CHAP_C=0x0102"]), quiet=False)
    yield Case("B035", "mutual CHAP", lambda w: whole(w, MUTUAL[0], MUTUAL[1:], OWN))
    yield Case("B037", "mutual not wanted", lambda w: proof(w, {AUTH}, MUTUAL), quiet=False)
    for identifier, challenge, right in CHALLENGES:
        yield Case("B030" if challenge == "0x01" else "B031", f"CHAP_I={identifier} CHAP_C={challenge[:12]} ({len(challenge)})",
                   lambda w, i=identifier, c=challenge, r=right: proof(w, {0} if r else {AUTH}, MUTUAL,
                                                                       more=[f"CHAP_I={i}", f"CHAP_C={c}"]), quiet=right)
    yield Case("B036", "challenge of another connection", reflected)
    yield Case("B036", "challenge of the same connection", lambda w: proof(
        w, {AUTH, CLOSE}, MUTUAL, more=lambda challenge: ["CHAP_I=1", f"CHAP_C={iscsi.base64_text(challenge)}"]), quiet=False)
    yield Case("B040", "recorded proof", replay)


def session_cases():
    yield Case("B043", "target of another tenant", tenant, quiet=False)
    yield Case("B044", "SCSI Command", lambda w: discovery(w, lambda c: c.command_pdu([0] * 6)))
    yield Case("B044", "READ without data", lambda w: discovery(w, lambda c: c.command_pdu([0x28] + [0] * 9, read=512)))
    yield Case("B044", "task management", lambda w: discovery(w, lambda c: c.task_request(5)))
    yield Case("B044", "Data-Out", lambda w: discovery(w, lambda c: c.pdu(iscsi.DATA_OUT, b"x" * 512)))
    yield Case("B048", "no proof, no reinstatement", no_proof_no_reinstatement)
    yield Case("B048", "another name, the same ISID", another_name_is_another_session)
    yield Case("B048", "second connection of a session", adding_a_connection)
    yield Case("B048", "twenty logins of one port at a time", reinstatement_storm)
    for auth in ({"chap": {"user": "a", "secret": SECRET}, "mutual": {"user": "b", "secret": SECRET}},):
        yield Case("B038", "both secrets the same", lambda w, a=auth: refused_config(w, a))
    for secret in ("short", "x" * 300, "zwölf-zeichen-lang", "tabs\tare-not-text", ""):
        yield Case("B039", f"secret {secret[:12]!r}", lambda w, s=secret: refused_config(w, {"chap": {"user": "a", "secret": s}}))
