"""The conventions of the REST service. Every response of every system test is checked against the contract as well."""
import json
import threading

from harness import wait
from harness.daemon import TARGET
from harness.events import EventStream
from harness.initiator import qemu_io
from harness.registry import test
from harness.rest import quote

PATH = f"/targets/{quote(TARGET)}"
SECRET = "never-to-be-seen-again"


@test(quick=True)
def a_contract_is_there_to_check_against(env):
    assert env.programs.contract, "openapi/ holds no contract"
    daemon = env.daemon()
    served = daemon.rest.raw("GET", "/openapi.yaml")
    assert served.status == 200 and "\nopenapi: 3.1" in "\n" + served.text, served.text[:200]


@test(quick=True)
def the_route_table_and_the_contract_are_the_same(env):
    shown = env.run(env.programs.daemon, "--print-routes").stdout
    ours = {tuple(line.split()[:2]) for line in shown.splitlines() if line.strip()}
    theirs = {(method, path) for method, path in env.programs.contract.operations if method != "HEAD"}
    assert ours == theirs, f"only in the table: {sorted(ours - theirs)}; only in the contract: {sorted(theirs - ours)}"


@test(quick=True)
def put_creates_once_and_then_says_the_same(env):
    rest = env.daemon().rest
    created = rest.put("/luns/vol", {"size_bytes": 8 << 20}, expect=201)
    assert created.etag and rest.get("/luns/vol").etag == created.etag
    assert rest.put("/luns/vol", {"size_bytes": 8 << 20}, expect=200).etag == created.etag


@test(quick=True)
def a_change_needs_the_right_etag(env):
    rest = env.daemon().rest
    old = rest.put("/luns/vol", {"size_bytes": 8 << 20}).etag
    body = {"description": "other words"}
    assert rest.call("PATCH", "/luns/vol", body, expect=428).code == "precondition-required"
    new = rest.call("PATCH", "/luns/vol", body, headers={"If-Match": old}, expect=200).etag
    assert new != old
    assert rest.call("PATCH", "/luns/vol", {"description": "x"}, headers={"If-Match": old}, expect=412).code == \
        "precondition-failed"
    assert rest.call("DELETE", "/luns/vol", headers={"If-Match": old}, expect=412)
    rest.call("DELETE", "/luns/vol", headers={"If-Match": new})
    rest.get("/luns/vol", expect=404)
    rest.get("/luns/vol", headers={"If-None-Match": new}, expect=404)


@test(quick=True)
def an_unchanged_object_is_not_sent_again(env):
    rest = env.daemon().rest
    etag = rest.put("/luns/vol", {"size_bytes": 8 << 20}).etag
    rest.get("/luns/vol", headers={"If-None-Match": etag}, expect=304)


@test(quick=True)
def problems_have_a_code_and_point_to_the_member(env):
    rest = env.daemon().rest
    for body, pointer in (({"size_bytes": -1}, "/size_bytes"), ({"size_bytes": "10G"}, "/size_bytes"), ({}, "/size_bytes"),
                          ({"size_bytes": 1 << 20, "block_size": 513}, "/block_size"),
                          ({"size_bytes": 1 << 20, "colour": "red"}, "/colour"), ({"size_bytes": (1 << 20) + 1}, "/size_bytes")):
        answer = rest.put("/luns/vol", body, expect=422)
        assert answer.headers["content-type"].startswith("application/problem+json"), answer.headers
        assert answer.json["code"] and pointer in json.dumps(answer.json), answer
    for path in ("/luns/..", "/luns/a%2fb", "/luns/%00", "/luns/" + "x" * 300, f"/targets/{quote('IQN.2026-11.X:Y')}"):
        answer = rest.call("PUT", path, {"size_bytes": 1 << 20}, expect=(400, 404, 422))
    assert rest.get("/luns").json["items"] == []


@test(quick=True)
def bodies_that_are_no_json_object_are_refused(env):
    rest = env.daemon().rest
    headers = {"Authorization": f"Bearer {rest.token()}", "Content-Type": "application/json"}
    for body in (b"", b"null", b"[]", b'"x"', b"{", b'{"size_bytes":1}{}', b'{"a":1,"a":2}', b"\xff\xfe{}", b"[" * 100000,
                 b'{"size_bytes":1e999}', b'{"name":"\\u0000"}', b'\xef\xbb\xbf{}'):
        answer = rest.raw("PUT", "/api/v1/luns/vol", body, headers)
        assert answer.status in (400, 413, 422), (body[:40], answer)
    answer = rest.raw("PUT", "/api/v1/luns/vol", b"size_bytes=1", {**headers, "Content-Type": "text/plain"})
    assert answer.status == 415, answer
    assert rest.raw("PUT", "/api/v1/luns/vol", b" " * (20 << 20), headers).status == 413


@test(quick=True)
def unknown_paths_and_methods_are_named_so(env):
    rest = env.daemon().rest
    assert rest.get("/no-such-thing", expect=404).json["code"]
    answer = rest.call("PATCH", "/version", {}, headers={"If-Match": "*"}, expect=405)
    assert "GET" in answer.headers["allow"], answer.headers


@test(quick=True)
def roles_may_do_what_they_are_for(env):
    rest = env.daemon().rest
    tokens = {role: rest.put(f"/tokens/a-{role}", {"role": role}).json for role in ("viewer", "operator", "admin")}
    tokens = {role: answer.get("token") or answer.get("secret") for role, answer in tokens.items()}
    for role, token in tokens.items():
        rest.get("/luns", token=token)
        may = role != "viewer"
        rest.put(f"/luns/by-{role}", {"size_bytes": 1 << 20}, token=token, expect=201 if may else 403)
        rest.get("/tokens", token=token, expect=200 if role == "admin" else 403)
    rest.get("/luns", token="not-a-token", expect=401)
    rest.delete("/tokens/a-operator", headers={"If-Match": "*"})
    rest.get("/luns", token=tokens["operator"], expect=401)
    listed = rest.get("/tokens").text
    assert not any(token in listed for token in tokens.values())


@test(quick=True)
def every_route_refuses_a_request_without_a_token(env):
    daemon = env.daemon()
    for (method, path), (_, operation, _) in (env.programs.contract.operations if env.programs.contract else {}).items():
        if operation.get("security") == []:
            continue  # anyone may: pages, probes, logging in
        for name, value in (("{number}", "0"), ("{lun}", "x"), ("{target}", TARGET)):
            path = path.replace(name, value)
        path = path.replace("{", "").replace("}", "")
        answer = daemon.rest.raw(method, path, b"{}" if method in ("PUT", "PATCH") else None)
        assert answer.status in (401, 429), (method, path, answer)
    daemon.rest.get("/luns")


@test(quick=True)
def a_dry_run_changes_nothing(env):
    rest = env.daemon().rest
    rest.put("/luns/vol?dry_run=true", {"size_bytes": 8 << 20}, expect=(200, 201))
    rest.get("/luns/vol", expect=404)


@test(quick=True)
def a_lun_in_use_is_removed_only_by_force(env):
    daemon = env.daemon()
    daemon.serve("vol", 8 << 20)
    assert daemon.rest.delete("/luns/vol", expect=409).code == "lun-in-use"
    daemon.rest.delete("/luns/vol?force=true", expect=(202, 204))
    wait.until(lambda: daemon.rest.get("/luns/vol", expect=(200, 404)).status == 404, "the LUN is gone")
    assert daemon.rest.get(f"{PATH}/luns").json["items"] == []


@test(quick=True)
def lists_come_in_pages(env):
    rest = env.daemon().rest
    for number in range(12):
        rest.put(f"/luns/vol{number:02}", {"size_bytes": 1 << 20, "store": "memory"})
    names, path = [], "/luns?limit=5"
    for _ in range(4):
        page = rest.get(path).json
        names += [lun["name"] for lun in page["items"]]
        if not page.get("next_cursor"):
            break
        path = f"/luns?limit=5&cursor={page['next_cursor']}"
    assert names == [f"vol{n:02}" for n in range(12)], names
    rest.get("/luns?limit=-1", expect=(400, 422))
    rest.get("/luns?cursor=nonsense", expect=(400, 422))


@test(quick=True)
def secrets_never_come_back(env):
    daemon = env.daemon()
    rest = daemon.rest
    daemon.serve("vol", 8 << 20, target_body={"auth": {"chap": {"user": "alice", "secret": SECRET}}})
    rest.patch(PATH, {"auth": {"chap": {"secret": SECRET + "2"}}})
    for path in (PATH, "/targets", "/config", "/audit"):
        text = rest.get(path).text
        assert SECRET not in text, f"{path}: {text[:400]}"
    assert SECRET not in daemon.log()
    audit = daemon.state / "audit.log"
    assert audit.exists() and SECRET not in audit.read_text()
    for path in daemon.state.rglob("*"):
        if path.is_file() and path.stat().st_size < 1 << 20 and SECRET.encode() in path.read_bytes():
            assert path.stat().st_mode & 0o077 == 0, f"{path} may be read by others"


@test(quick=True)
def the_audit_says_who_did_what_and_what_changed(env):
    rest = env.daemon().rest
    rest.put("/luns/vol", {"size_bytes": 8 << 20})
    rest.patch("/luns/vol", {"description": "for the audit"})
    rest.put("/luns/bad", {"size_bytes": 1}, expect=422)
    entries = rest.get("/audit").json["items"]
    text = json.dumps(entries)
    assert "for the audit" in text and "lun:vol" in text and "422" in text, text[:1500]
    assert entries[0]["actor"] and entries[0]["peer"], entries[0]


@test(quick=True)
def events_are_streamed_and_resumed(env):
    daemon = env.daemon()
    stream = EventStream(daemon)
    daemon.rest.put("/luns/vol1", {"size_bytes": 1 << 20})
    first = wait.until(lambda: stream.with_text("vol1"), "an event about vol1")
    stream.close()
    daemon.rest.put("/luns/vol2", {"size_bytes": 1 << 20})
    again = EventStream(daemon, last_id=first["id"])
    wait.until(lambda: again.with_text("vol2"), "an event that came while nobody listened")
    assert not again.with_text("vol1") or again.with_text("vol1")["id"] != first["id"]
    again.close()


@test(quick=True)
def logins_and_logouts_are_events(env):
    daemon = env.daemon()
    url = daemon.serve("vol")
    stream = EventStream(daemon)
    qemu_io(env, url, ["write 0 4k"])
    came = wait.until(lambda: stream.with_text("logged in"), "the login")
    went = wait.until(lambda: stream.with_text("logged out"), "the logout")
    assert came["event"] == "login" and went["event"] == "logout", (came, went)
    assert TARGET in came["data"] and "session:0-" in came["data"], came
    stream.close()


@test(quick=True)
def a_configuration_is_exported_and_imported(env):
    daemon, other = env.daemon(), env.daemon()
    daemon.serve("vol", 8 << 20, block_size=4096)
    exported = daemon.rest.get("/config").json
    exported.get("portals", {}).pop("default", None)
    dry = other.rest.put("/config?dry_run=true", exported, headers={"If-Match": "*"})
    assert "vol" in dry.text, dry
    other.rest.get("/luns/vol", expect=404)
    other.rest.put("/config", exported, headers={"If-Match": "*"}, expect=(200, 202))
    wait.until(lambda: other.rest.get("/luns/vol", expect=(200, 404)).status == 200, "imported")
    assert other.rest.get("/luns/vol").json["block_size"] == 4096
    assert other.rest.get(f"{PATH}/luns/0").json["lun"] == "vol"


@test(quick=True)
def health_metrics_version_and_probes_answer(env):
    daemon = env.daemon()
    daemon.serve("vol", 8 << 20)
    assert daemon.health()["status"] == "ok", daemon.health()
    assert daemon.rest.raw("GET", "/livez").status == 200 and daemon.rest.raw("GET", "/readyz").status == 200
    asked = {"Authorization": f"Bearer {daemon.token()}"}
    metrics = daemon.rest.raw("GET", "/metrics", headers=asked)
    assert metrics.status == 200 and "# TYPE lunette_lun_reads_total counter" in metrics.text, metrics
    metrics = daemon.rest.raw("GET", "/metrics", headers={**asked, "Accept": "application/openmetrics-text"})
    assert metrics.status == 200 and metrics.text.endswith("# EOF\n"), metrics
    assert daemon.rest.get("/version").json["version"] == (env.programs.root / "VERSION").read_text().strip()
    assert daemon.rest.get("/capabilities").json


@test(quick=True)
def many_clients_creating_the_same_lun_agree_on_one(env):
    rest = env.daemon().rest
    answers = []

    def create():
        answers.append(rest.put("/luns/vol", {"size_bytes": 1 << 20}, expect=(200, 201, 409)))

    threads = [threading.Thread(target=create) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [a.status for a in answers].count(201) == 1, [a.status for a in answers]
    assert len({a.json["id"] for a in answers if a.status < 300}) == 1
