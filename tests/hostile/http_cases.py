"""Wrong HTTP and JSON at the REST service (B113 to B138). The route table is that of the contract."""
import json
import pathlib
import re
import socket
import threading
import time
import urllib.parse

import yaml
from harness import process
from harness.daemon import TARGET
from world import Case

CLASS = "http"
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RECEIVE_S = 20        # HTTP_RECEIVE_MS
PER_ADDRESS = 256     # HTTP_CONNECTIONS_PER_ADDRESS
SECRET = "a-secret-of-hostile-tests"
PUBLIC = {"/", "/assets/{file}", "/livez", "/readyz", "/openapi.yaml"}
VERBS = ("GET", "PUT", "POST", "PATCH", "DELETE", "TRACE", "PROPFIND")
PARAMETERS = {"target": TARGET, "number": "0", "lun": "vol", "initiator": "iqn.2026-11.x:y", "store": "memory", "portal": "default"}
FAST_S = 0.5          # times --slow; a request, whatever is in it
BOMB_KIB = 4 << 10


def make(world_class, env):
    world = world_class(env, {"login_timeout_s": 3})
    rest = world.daemon.rest
    rest.put("/stores/used", {"kind": "memory"})
    rest.put("/luns/user", {"size_bytes": 1 << 20, "store": "used"})
    rest.put("/targets/iqn.2026-11.io.lunette:secret", {"auth": {"chap": {"user": "user", "secret": SECRET}}})
    world.tokens = {role: rest.put(f"/tokens/{role}", {"role": role}).json["token"] for role in ("viewer", "operator")}
    world.tokens["expired"] = rest.put("/tokens/expired", {"role": "admin", "expires_in_s": 1}).json["token"]
    world.tokens["admin"] = rest.token()
    return world


class Http:
    """One connection to the service; what is sent is bytes."""

    def __init__(self, world, address=None, timeout_s=10):
        self.socket = socket.socket()
        self.socket.settimeout(timeout_s * world.slow)
        if address:
            self.socket.bind((address, 0))
        self.socket.connect(("127.0.0.1", world.daemon.http_port))

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (ConnectionError, TimeoutError):
            pass  # refused before all was read: the answer is there
        return self

    def answer(self):
        """(status, head, body) of one answer; status 0: closed without one."""
        data = b""
        try:
            while b"\r\n\r\n" not in data:
                more = self.socket.recv(65536)
                if not more:
                    return 0, data, b""
                data += more
            head, _, body = data.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            while length and len(body) < int(length[1]):
                more = self.socket.recv(65536)
                if not more:
                    break
                body += more
        except ConnectionError:
            return 0, data, b""
        return int(head.split(b" ")[1]), head, body

    def close(self):
        self.socket.close()


def ask(world, method, path, headers=(), body=b"", token="admin", version="HTTP/1.1"):
    """A request with this token (None: without), given as it is; its answer."""
    lines = [f"{method} {path} {version}".encode("latin-1") if isinstance(path, str) else method.encode() + b" " + path + b" HTTP/1.1",
             b"Host: x"]
    lines += [b"Authorization: Bearer " + world.tokens.get(token, token).encode()] if token else []
    lines += [h if isinstance(h, bytes) else h.encode("latin-1") for h in headers]
    if body:
        lines += [b"Content-Length: %d" % len(body), b"Content-Type: application/json"]
    connection = Http(world)
    try:
        return connection.send(b"\r\n".join(lines) + b"\r\n\r\n" + body).answer()
    finally:
        connection.close()


def request(*right, **given):
    """One request, one of these statuses (0: closed), soon; a problem says what is wrong in JSON."""
    def run(world):
        started = time.monotonic()
        status, head, body = ask(world, **given)
        took = time.monotonic() - started
        assert status in right, f"{status} {body[:200]!r}, not {right}"
        assert took < FAST_S * world.slow, f"{took:.2f} s"
        if body and b"application/problem+json" in head:
            problem = json.loads(body)
            assert problem["status"] == status and problem["code"], problem
    return run


# ---------------------------------------------------------------- one request

def many_headers(count):
    return [f"X-Header-{n}: {n}" for n in range(count)]


V1 = "/api/v1"
REQUESTS = [
    ("B113", "Content-Length of 10 GiB", dict(method="PUT", path=V1 + "/luns/x", headers=["Content-Length: 10737418240"]), 413),
    ("B113", "Content-Length of 2^64", dict(method="PUT", path=V1 + "/luns/x", headers=["Content-Length: 18446744073709551616"]), 400, 413),
    ("B113", "Content-Length of -1", dict(method="PUT", path=V1 + "/luns/x", headers=["Content-Length: -1"]), 400, 413),
    ("B113", "two Content-Lengths", dict(method="PUT", path=V1 + "/luns/x", headers=["Content-Length: 2", "Content-Length: 3"]), 400),
    ("B113", "two tokens", dict(method="GET", path=V1 + "/luns", headers=["Authorization: Bearer x"]), 400),
    ("B113", "two hosts", dict(method="GET", path=V1 + "/luns", headers=["Host: y"]), 400),
    ("B113", "Content-Length and chunks", dict(method="PUT", path=V1 + "/luns/x",
                                               headers=["Transfer-Encoding: chunked", "Content-Length: 2"]), 400),
    ("B113", "a chunk of 2^64", dict(method="PUT", path=V1 + "/luns/x", headers=[
        "Content-Type: application/json", "Transfer-Encoding: chunked", "", "FFFFFFFFFFFFFFFFF", "{}"]), 400, 413, 0),
    ("B115", "10,000 headers", dict(method="GET", path=V1 + "/luns", headers=many_headers(10000)), 431, 400, 413, 0),
    ("B115", "a header of 1 MiB", dict(method="GET", path=V1 + "/luns", headers=["X-Long: " + "a" * (1 << 20)]), 431, 400, 413, 0),
    ("B115", "NUL in a header", dict(method="GET", path=V1 + "/luns", headers=[b"X-Nul: a\0b"]), 200, 400),
    ("B115", "bare CR in a header", dict(method="GET", path=V1 + "/luns", headers=[b"X-Cr: a\rb"]), 200, 400),
    ("B115", "a folded header", dict(method="GET", path=V1 + "/luns", headers=["X-Fold: a", " b"]), 200, 400),
    ("B115", "a header without a name", dict(method="GET", path=V1 + "/luns", headers=[": x"]), 200, 400, 0),
    ("B115", "a header without a colon", dict(method="GET", path=V1 + "/luns", headers=["nothing"]), 200, 400, 0),
    ("B115", "NUL in the token", dict(method="GET", path=V1 + "/luns", headers=[b"Authorization: Bearer x\0y"], token=None), 401, 400, 429),
    *[("B116", f"path {path[:24]!r}", dict(method="GET", path=path), 400, 404, 414, 431, 0) for path in (
        V1 + "/luns/%00", V1 + "/luns/..%2f..%2fetc%2fpasswd", "/assets/%2e%2e/%2e%2e/etc/passwd", "/assets/..%2f..%2fetc%2fpasswd",
        "//etc/passwd", V1 + "//luns", V1 + "/luns;x", "/" + "a" * 65536, V1 + "/luns/%", V1 + "/luns/%4", V1 + "/luns/%zz", V1 + "/luns/%ff%fe",
        "/assets/.htaccess", "/assets/%2fetc%2fpasswd", "http://evil/etc/passwd", "*", V1 + "/luns/a?b?c", V1 + "/luns?limit=%00", "/../../etc/passwd")],
    ("B116", "path with invalid UTF-8", dict(method="GET", path=b"/api/v1/luns/\xff\xfe"), 400, 404),
    ("B116", "path with a control character", dict(method="GET", path=b"/api/v1/luns/\x01"), 400, 404),
    ("B117", "GET with a body", dict(method="GET", path=V1 + "/luns", body=b"{}"), 400),
    ("B117", "CONNECT", dict(method="CONNECT", path="10.0.0.1:22"), 400, 404, 405),
    ("B117", "OPTIONS *", dict(method="OPTIONS", path="*"), 400, 404, 405),
    ("B117", "a method of 4 KiB", dict(method="M" * 4096, path=V1 + "/luns"), 400, 405, 501, 0),
    ("B117", "a method in small letters", dict(method="get", path=V1 + "/luns"), 400, 405, 501),
    ("B117", "HTTP/9.9", dict(method="GET", path=V1 + "/luns", version="HTTP/9.9"), 400, 505, 200, 0),
    *[("B128", f"query {query}", dict(method="GET", path=f"{V1}/luns?{query}"), 400) for query in (
        "limit=-1", "limit=0", "limit=2147483648", "limit=99999999999999999999", "limit=1e3", "limit=", "cursor=zz", "cursor=" + "61" * 4000,
        "cursor=0", "bogus=1", "limit=1&limit=x")],
    ("B127", "the secret of a target", dict(method="GET", path=V1 + "/targets/iqn.2026-11.io.lunette:secret"), 200),
    ("B124", "a LUN that is mapped", dict(method="DELETE", path=V1 + "/luns/vol", headers=["If-Match: *"]), 409),
    ("B124", "a store that LUNs use", dict(method="DELETE", path=V1 + "/stores/used", headers=["If-Match: *"]), 409),
    ("B125", "a LUN made smaller", dict(method="PATCH", path=V1 + "/luns/vol", headers=["If-Match: *"], body=b'{"size_bytes": 1048576}'), 409, 422),
]
SIZES = ("0", "-1", "1", "511", "9223372036854775808", "18446744073709551616", "1e400", '"10G"', "NaN", "true", "null", "1.5", "[]", "{}",
         "1099511627776000000", "-0", "0x10", "1048577")
NAMES = ("a/b", "a\nb", "%s%n", "../x", ".hidden", "x" * 225, "\u202eabc", "a\u200bb", "IQN.2026-11.X:Y", "a b", "", "-", "con\0", "é" * 40, "'; drop")
BODIES = [  # B120, and B131 to B138
    ("B120", "a field missing", b"{}", 400, 422), ("B120", "null", b'{"size_bytes": null}', 400, 422),
    ("B120", "an unknown field", b'{"size_bytes": 1048576, "colour": "red"}', 400, 422),
    ("B120", "another type", b'{"size_bytes": 1048576, "store": 7}', 400, 422),
    ("B120", "a long word of three-byte characters", json.dumps({"size_bytes": 1 << 20, "store": "\u20ac" * 3000}).encode(), 400, 422),
    ("B120", "a long unknown name of three-byte characters", json.dumps({"\u20ac" * 3000: 1}).encode(), 400, 422),
    ("B120", "four-byte characters", json.dumps({"size_bytes": 1 << 20, "store": "a" + "\U0001f600" * 2000}, ensure_ascii=False).encode(), 400, 422),
    ("B131", "100,000 arrays", b"[" * 60000, 400), ("B131", "100,000 objects", b'{"a":' * 12000, 400),
    ("B131", "arrays in a name", b'{"a":' + b"[" * 40000 + b"]" * 20000, 400),
    ("B132", "a string of 10 MiB", b'{"a": "' + b"x" * (10 << 20) + b'"}', 413), ("B132", "a string of 60 KiB", b'{"a": "' + b"x" * 60000 + b'"}', 400, 422),
    ("B133", "10,000 keys", b"{" + b",".join(b'"k%d":1' % n for n in range(6000)) + b"}", 400, 422),
    ("B134", "a key twice", b'{"size_bytes": 1048576, "size_bytes": 2097152}', 400),
    ("B134", "a key twice, once in escapes", b'{"size_bytes": 1048576, "size\\u005fbytes": 2097152}', 400),
    ("B135", "NUL in a string", b'{"description": "a\\u0000b", "size_bytes": 1048576}', 400, 422),
    ("B135", "NUL in a key", b'{"size_bytes\\u0000x": 1048576}', 400, 422),
    ("B135", "a lone high surrogate", b'{"description": "\\ud800", "size_bytes": 1048576}', 400),
    ("B135", "a lone low surrogate", b'{"description": "\\udc00", "size_bytes": 1048576}', 400),
    ("B135", "invalid UTF-8", b'{"description": "\xff", "size_bytes": 1048576}', 400),
    ("B135", "an overlong form", b'{"description": "\xc0\x80", "size_bytes": 1048576}', 400),
    ("B135", "a surrogate in UTF-8", b'{"description": "\xed\xa0\x80", "size_bytes": 1048576}', 400),
    ("B136", "1e999", b'{"size_bytes": 1e999}', 400), ("B136", "-0", b'{"size_bytes": -0}', 400),
    ("B136", "2^64 - 1", b'{"size_bytes": 18446744073709551615}', 400), ("B136", "0.1", b'{"size_bytes": 0.1}', 400, 422),
    ("B136", "4,000 digits", b'{"size_bytes": ' + b"9" * 4000 + b"}", 400), ("B136", "4,000 digits behind the point",
                                                                        b'{"size_bytes": 1.' + b"9" * 4000 + b"}", 400, 422),
    ("B136", "leading zeros", b'{"size_bytes": 01048576}', 400), ("B136", "a plus", b'{"size_bytes": +1048576}', 400),
    ("B137", "something behind it", b'{"size_bytes": 1048576} x', 400), ("B137", "two documents", b'{"size_bytes": 1048576}{}', 400),
    ("B137", "a byte order mark", b'\xef\xbb\xbf{"size_bytes": 1048576}', 400), ("B137", "UTF-16", '{"size_bytes": 1048576}'.encode("utf-16"), 400),
    ("B137", "cut off", b'{"size_bytes": 10485', 400), ("B137", "a comment", b'{"size_bytes": 1048576 /* x */}', 400),
    ("B138", "null", b"null", 400), ("B138", "an array", b"[]", 400), ("B138", "a string", b'"x"', 400), ("B138", "a blank", b" ", 400),
    ("B138", "a NUL", b"\0", 400),
]


# ---------------------------------------------------------------- every route and verb

def routes():
    """[(path with parameters filled in, template, {methods}), ...] of the contract."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document = yaml.load((ROOT / "openapi/lunette.yaml").read_text(encoding="utf-8"), Loader=loader)
    prefix = urllib.parse.urlsplit(document["servers"][0]["url"]).path.rstrip("/")
    found = []
    for template, item in document["paths"].items():
        start = urllib.parse.urlsplit(item["servers"][0]["url"]).path.rstrip("/") if "servers" in item else prefix
        path = re.sub(r"\{(\w+)\}", lambda m: PARAMETERS.get(m[1], "x"), template)
        open_methods = {m.upper() for m, op in item.items() if isinstance(op, dict) and op.get("security") == []}
        found.append((start + path, open_methods, {m.upper() for m in item if m in ("get", "put", "post", "patch", "delete")}))
    return found


def nobody(token):
    """B118: whoever has no valid token learns nothing, whatever the route and verb; the bodies are the same."""
    def run(world):
        if token == "expired":
            time.sleep(1.1)  # it was made for one second
        bodies = set()
        for path, open_methods, methods in routes():
            for verb in VERBS:
                if verb in open_methods:
                    continue
                status, _, body = ask(world, verb, path, token=token)
                right = (401, 429) if verb in ("GET", "PUT", "POST", "PATCH", "DELETE") else (401, 429, 404, 405)
                assert status in right, f"{verb} {path}: {status} {body[:120]!r}"
                if status == 401:
                    problem = json.loads(body)
                    problem.pop("request_id")
                    bodies.add(json.dumps(problem, sort_keys=True))
        assert len(bodies) <= 1, bodies
    return run


def lesser_role(role):
    """B118: a viewer changes nothing, an operator nothing of the administrator's; the configuration is as before."""
    def run(world):
        refused, before = 0, world.daemon.rest.get("/config").json
        for path, open_methods, methods in routes():
            for verb in ("PUT", "POST", "PATCH", "DELETE"):
                if verb not in methods or verb in open_methods or path.endswith("/login"):
                    continue
                status, _, body = ask(world, verb, path, token=role, headers=["If-Match: *", "Content-Length: 0"] if verb != "DELETE" else
                                      ["If-Match: \"none\""])
                assert role == "operator" or status == 403, f"{verb} {path}: {status} {body[:120]!r}"
                refused += status == 403
        assert refused > 3, refused
        after = world.daemon.rest.get("/config").json
        assert role == "operator" or after == before, "it changed something"
    return run


def wrong_tokens(world):
    """B119: 1,000 wrong tokens are slowed by 429; the right one of the same address is still right."""
    statuses = [ask(world, "GET", V1 + "/luns", token=f"lnt_{n:064x}")[0] for n in range(1000)]
    assert set(statuses) <= {401, 429} and statuses.count(429) > 900, {s: statuses.count(s) for s in set(statuses)}
    assert ask(world, "GET", V1 + "/luns")[0] == 200


def no_secret_comes_back(world):
    """B127: no GET has a secret or a token in it."""
    for path, _, methods in routes():
        if "GET" in methods and not path.endswith(("/events", "/live")):
            _, _, body = ask(world, "GET", path.replace(TARGET, "iqn.2026-11.io.lunette:secret"))
            for secret in (SECRET, *world.tokens.values()):
                assert secret.encode() not in body, path


def names(world):
    """B121: names that are none."""
    for name in NAMES:
        for kind, body in (("luns", b'{"size_bytes": 1048576, "store": "memory"}'), ("targets", b"{}"), ("initiator-groups", b"{}")):
            path = f"{V1}/{kind}/{urllib.parse.quote(name, safe='')}"
            status, _, answer = ask(world, "PUT", path, body=body)
            fine = (200, 201) if kind == "targets" and name.startswith("IQN") else ()
            assert status in (400, 404, 405, 422, 414, *fine), f"{kind} {name!r}: {status} {answer[:200]!r}"


def bombs(world):
    """B131 to B138: what they cost. A second round costs nothing more."""
    def round_of_all():
        for _, _, body, *_ in BODIES:
            if len(body) < 65536:
                ask(world, "PUT", V1 + "/luns/bomb", body=body)
    round_of_all()
    before = process.memory_kib(world.roles["control"])
    for _ in range(3):
        round_of_all()
    grown = process.memory_kib(world.roles["control"]) - before
    assert grown < BOMB_KIB * world.slow, f"{grown} KiB"


def config_import_bombs(world):
    """PUT /config takes 16 MiB: depth and number of values are bounded there too."""
    for body in (b"[" * (1 << 20), b'{"a":' * 200000, b'{"config": [' + b"1," * 1100000 + b"1]}", b'{"x": "' + b"y" * (17 << 20) + b'"}'):
        started = time.monotonic()
        status, _, _ = ask(world, "PUT", V1 + "/config", body=body)
        assert status in (400, 413, 422) and time.monotonic() - started < 3 * world.slow, status


def created_at_once(world):
    """B123: eight clients make the same LUN at the same time: it is created once, and each is told what happened."""
    body = b'{"size_bytes": 1048576, "store": "memory"}'
    for turn in range(10):
        path, statuses = f"{V1}/luns/at-once-{turn}", []
        clients = [threading.Thread(target=lambda p=path: statuses.append(ask(world, "PUT", p, body=body)[0])) for _ in range(8)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert statuses.count(201) == 1 and set(statuses) <= {200, 201, 202, 409, 412, 428}, statuses
        world.daemon.rest.delete(f"/luns/at-once-{turn}")


# ---------------------------------------------------------------- connections

def slow_clients(world):
    """B113: headers and bodies that trickle end after RECEIVE_S, all of one address cannot keep out another."""
    head = b"GET /api/v1/luns HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"a" * 400
    body = (b"PUT /api/v1/luns/slow HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer " +
            world.tokens["admin"].encode() + b"\r\nContent-Length: 60000\r\n\r\n{")
    slow = []
    for n in range(PER_ADDRESS + 50):
        try:
            slow.append(Http(world, address="127.0.0.3").send(body if n % 3 == 0 else head if n % 3 == 1 else b""))
        except ConnectionError:
            pass
    assert ask(world, "GET", "/livez", token=None)[0] == 200, "another address is kept out"
    started, left = time.monotonic(), list(slow)
    while left and time.monotonic() - started < RECEIVE_S * 1.5 + 5 * world.slow:
        for connection in list(left):
            connection.socket.setblocking(False)
            try:
                connection.socket.send(b"a")
                if connection.socket.recv(4096) == b"":
                    left.remove(connection)
            except BlockingIOError:
                pass
            except OSError:
                left.remove(connection)
        time.sleep(0.2)
    assert not left, f"{len(left)} of {len(slow)} slow clients are still there"
    for connection in slow:
        connection.close()


def answers_nobody_reads(world):
    """Requests one behind the other whose answers are not read: bounded, and others are served."""
    deaf = []
    for _ in range(50):
        connection = Http(world, address="127.0.0.4", timeout_s=0.2)
        connection.send((b"GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n") * 500)
        deaf.append(connection)
    assert ask(world, "GET", "/livez", token=None)[0] == 200
    for connection in deaf:
        connection.close()


def streams(world):
    """Event streams up to the limit of one address; another is served, and their end gives all back."""
    head = b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + world.tokens["viewer"].encode() + b"\r\n\r\n"
    held = []
    for _ in range(PER_ADDRESS):
        held.append(Http(world, address="127.0.0.5").send(head))
    assert ask(world, "GET", "/livez", token=None)[0] == 200
    world.daemon.rest.put("/luns/seen", {"size_bytes": 1 << 20, "store": "memory"})
    world.daemon.rest.delete("/luns/seen")
    for connection in held:
        connection.close()


def cut_requests(step):
    """A request that ends, or goes on later, behind each (each step-th) of its bytes."""
    def run(world):
        whole = (b"PUT /api/v1/luns/cut?dry_run=true HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer " +
                 world.tokens["admin"].encode() + b'\r\nContent-Length: 42\r\n\r\n{"size_bytes": 1048576, "store": "memory"}')
        for at in range(1, len(whole), step):
            Http(world).send(whole[:at]).close()
            connection = Http(world).send(whole[:at])
            status, _, body = connection.send(whole[at:]).answer()
            assert status in (200, 201), (at, status, body)
            connection.close()
    return run


def cases():
    for rows, title, given, *right in REQUESTS:
        yield Case(rows, title, request(*right, **given))
    for text in SIZES:
        yield Case("B122", f"size_bytes {text}", request(400, 422, method="PUT", path=V1 + "/luns/x",
                                                         body=b'{"store": "memory", "size_bytes": ' + text.encode() + b"}"))
    for rows, title, body, *right in BODIES:
        yield Case(rows, title, request(*right, method="PUT", path=V1 + "/luns/x", body=body))
    yield Case("B138", "nothing", request(400, 411, method="PUT", path=V1 + "/luns/x", headers=["Content-Length: 0"]))
    yield Case("B131 B132 B133 B134 B135 B136 B137 B138", "what they cost", bombs)
    yield Case("B131 B133", "PUT /config", config_import_bombs)
    yield Case("B121", "names", names)
    for token in (None, "lnt_" + "0" * 64, "expired"):
        yield Case("B118", f"every route and verb, token {str(token)[:8]}", nobody(token))
    for role in ("viewer", "operator"):
        yield Case("B118", f"every route and verb, {role}", lesser_role(role))
    yield Case("B119", "1,000 wrong tokens", wrong_tokens)
    yield Case("B123", "the same LUN by eight clients at once", created_at_once)
    yield Case("B127", "every GET", no_secret_comes_back)
    yield Case("B113", "slow clients", slow_clients)
    yield Case("B113", "answers that nobody reads", answers_nobody_reads)
    yield Case("B113", "event streams", streams)
    yield Case("B113", "cut at each 23rd byte", cut_requests(23))
    yield Case("B113", "cut at each byte", cut_requests(1), soak=True)
