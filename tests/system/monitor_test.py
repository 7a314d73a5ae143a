"""What is measured against what was done: series, charts, live stream and rankings over real I/O of known size."""
import csv
import http.client
import io
import json
import math
import threading
import time
import urllib.parse
import xml.etree.ElementTree

from harness import wait
from harness.daemon import TARGET
from harness.initiator import qemu_io
from harness.registry import test
from harness.rest import Client

MIB = 1 << 20
SAMPLING_ERROR = 0.1  # a rate is of the time between two samples, which is a second only on a machine that is idle
SVG = "{http://www.w3.org/2000/svg}svg"


def series(daemon, objects, metrics, since="-10m", **more):
    """{(object, metric): values}, and the whole answer."""
    query = urllib.parse.urlencode({"object": objects, "metric": metrics, "from": since, "step": "1", **more})
    answer = daemon.rest.get(f"/series?{query}").json
    return {(s["object"], s["metric"]): s["values"] for s in answer["series"]}, answer


def total(values, step_s=1):
    return sum(v for v in values if v is not None) * step_s


def wait_for_totals(daemon, wanted, since="-10m"):
    """Waits until the sum of rate x step of each (object, metric) is what was done; returns the series."""
    objects = ",".join(dict.fromkeys(o for o, _ in wanted))
    metrics = ",".join(dict.fromkeys(m for _, m in wanted))

    def reached():
        found, _ = series(daemon, objects, metrics, since)
        sums = {key: total(found.get(key, [])) for key in wanted}
        return all(abs(sums[key] - value) <= max(1, value * SAMPLING_ERROR) for key, value in wanted.items()) and found

    try:
        return wait.until(reached, "the series to hold what was done", 15 * daemon.slow)
    except wait.Late as error:
        found, _ = series(daemon, objects, metrics, since)
        raise AssertionError(f"{ {key: (total(found.get(key, [])), value) for key, value in wanted.items()} }") from error


def sampled(daemon, name):
    """Waits until the object has rates: that takes two samples."""
    wait.until(lambda: any(i["name"] == name and i["values"]["write_iops"] is not None
                           for i in daemon.rest.get("/top?limit=1000").json["items"]), f"rates of {name}", 10 * daemon.slow)


def counted(daemon, url, env):
    """Waits until a target counts: it begins to with its first session, and a sample needs one before it."""
    qemu_io(env, url, ["flush"])
    wait.until(lambda: [i for i in daemon.rest.get("/top?kind=target").json["items"] if i["values"]["write_iops"] is not None],
               "a sample of the target", 10 * daemon.slow)


def write_and_read(env, url, mib=16):
    """Writes and reads so many MiB in commands of 1 MiB."""
    qemu_io(env, url, [f"write -P 7 {n}M 1M" for n in range(mib)] + [f"read -P 7 {n}M 1M" for n in range(mib)])


@test(quick=True, timeout_s=90)
def series_hold_what_was_done(env):
    daemon = env.daemon()
    url = daemon.serve("vol1")
    daemon.serve("vol2", number=1)
    counted(daemon, url, env)
    write_and_read(env, url)
    wait_for_totals(daemon, {("lun:vol1", "read_bytes_per_s"): 16 * MIB, ("lun:vol1", "write_bytes_per_s"): 16 * MIB,
                             (f"target:{TARGET}", "write_bytes_per_s"): 16 * MIB})
    host = daemon.rest.get("/top?kind=host").json["items"][0]["object"]
    wait_for_totals(daemon, {("worker:0", "write_bytes_per_s"): 16 * MIB, (host, "write_bytes_per_s"): 16 * MIB})
    other, _ = series(daemon, "lun:vol2", "write_bytes_per_s,read_latency_p50")
    assert total(other["lun:vol2", "write_bytes_per_s"]) == 0
    shown = daemon.rest.get("/top?kind=lun&sort=bytes").json
    assert [i["name"] for i in shown["items"]][0] in ("vol1", "vol2") and shown["sort"] == "bytes"
    text = daemon.rest.raw("GET", "/metrics", headers={"Authorization": f"Bearer {daemon.token()}"}).text
    line = next(l for l in text.splitlines() if l.startswith("lunette_lun_write_bytes_total") and '"vol1"' in l)
    assert float(line.split()[-1]) == 16 * MIB, line


@test(quick=True, timeout_s=90)
def charts_show_the_same_as_the_series(env):
    daemon = env.daemon()
    url = daemon.serve("vol1")
    daemon.serve("huge", size_bytes=1 << 40, number=1)
    sampled(daemon, "huge")
    write_and_read(env, url)
    wait_for_totals(daemon, {("lun:vol1", "write_bytes_per_s"): 16 * MIB})
    found, answer = series(daemon, "lun:vol1", "read_bytes_per_s,write_bytes_per_s", "-2m", step="auto")
    means = [[v for v in found["lun:vol1", f"{w}_bytes_per_s"] if v is not None] for w in ("read", "write")]
    group = daemon.rest.get("/charts/group?data=read_write&from=-2m", headers={"Accept": "application/json"}).json
    one = next(c for c in group["components"] if c["label"] == "vol1")
    for value, mean in zip((one["first"], one["second"]), means):
        assert math.isclose(value, sum(mean) / len(mean), rel_tol=0.2), (one, mean, answer["step_s"])
    capacity = daemon.rest.get("/charts/group", headers={"Accept": "application/json"}).json
    assert {c["label"]: c["second"] for c in capacity["components"]} == {"vol1": 64.0 * MIB, "huge": float(1 << 40)}
    assert capacity["breaks"] == 1 and capacity["segments"][1]["factor"] > 1, capacity["segments"]
    full = daemon.rest.get("/charts/group?reduction=off", headers={"Accept": "application/json"}).json
    assert full["breaks"] == 0 and full["threshold"] == 1
    of_target = daemon.rest.get(f"/charts/group?group=target:{TARGET}", headers={"Accept": "application/json"}).json
    assert len(of_target["components"]) == 2
    targets = daemon.rest.get("/charts/group?group=targets", headers={"Accept": "application/json"}).json
    assert targets["components"][0]["second"] == 64.0 * MIB + (1 << 40), targets
    assert daemon.rest.get("/charts/group?group=workers", headers={"Accept": "application/json"}).json["components"][0]["second"]
    peak = daemon.rest.get("/charts/group?data=peak&metric=write_bytes_per_s", headers={"Accept": "application/json"}).json
    assert next(c for c in peak["components"] if c["label"] == "vol1")["second"] >= 1 * MIB, peak


@test(quick=True, timeout_s=90)
def every_chart_is_well_formed_svg_and_png(env):
    daemon = env.daemon()
    daemon.serve("vol1")
    sampled(daemon, "vol1")
    for chart in daemon.rest.get("/charts").json["items"]:
        query = "?object=lun:vol1" if chart["name"] == "heatmap" else ""
        for theme in ("light", "dark"):
            answer = daemon.rest.get(f"/charts/{chart['name']}.svg{query or '?'}{'&' if query else ''}theme={theme}")
            root = xml.etree.ElementTree.fromstring(answer.text)
            assert root.tag == SVG and answer.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"
            assert answer.headers["content-disposition"] == f'inline; filename="{chart["name"]}.svg"'
        assert daemon.rest.get(f"/charts/{chart['name']}{query}", headers={"Accept": "image/*"}).headers["content-type"] == "image/svg+xml"
        png = daemon.picture(f"/api/v1/charts/{chart['name']}.png{query}")
        if png is None:
            env.note("rsvg-convert is not installed")
        else:
            assert png.startswith(b"\x89PNG\r\n\x1a\n"), chart
    assert daemon.rest.get("/charts/iops", headers={"Accept": "text/html"}, expect=406).code == "not-acceptable"


BAD = {
    "/series": "invalid-object", "/series?object=vol1": "invalid-object", "/series?object=lun:": "invalid-object",
    "/series?object=disk:x": "invalid-object", "/series?object=lun:*,": "invalid-object",
    "/series?object=lun:vol1&metric=speed": "invalid-metric", "/series?object=lun:vol1&metric=cpu_percent": "invalid-metric",
    "/series?object=lun:vol1&metric=": "invalid-metric",
    "/series?object=lun:vol1&from=yesterday": "invalid-range", "/series?object=lun:vol1&from=now&to=-1h": "invalid-range",
    "/series?object=lun:vol1&from=-9y": "invalid-range", "/series?object=lun:vol1&step=0": "invalid-step",
    "/series?object=lun:vol1&step=x": "invalid-step", "/series?object=lun:vol1&cf=least": "invalid-cf",
    "/series?object=lun:vol1&step=1&from=-1d": "too-large", "/series?object=lun:vol1&colour=red": "unknown-parameter",
    "/series.csv?object=lun:vol1&cf=": "invalid-cf",
    "/charts/iops.svg?width=199": "invalid-width", "/charts/iops.svg?width=1e3": "invalid-width",
    "/charts/iops.svg?height=2001": "invalid-height", "/charts/iops.svg?theme=pink": "invalid-theme",
    "/charts/group.svg?threshold=0.1": "invalid-threshold", "/charts/group.svg?reduction=maybe": "invalid-reduction",
    "/charts/group.svg?data=colour": "invalid-data", "/charts/group.svg?group=x": "invalid-group",
    "/charts/group.svg?data=peak&metric=cpu_percent": "invalid-metric", "/charts/top.svg?limit=51": "invalid-limit",
    "/charts/top.svg?kind=read": "invalid-kind", "/charts/top.svg?metric=nothing": "invalid-metric",
    "/charts/heatmap.svg": "invalid-object", "/charts/heatmap.svg?object=worker:0": "invalid-object",
    "/charts/heatmap.svg?object=lun:vol1&kind=lun": "invalid-kind",
    "/top?kind=disk": "invalid-kind", "/top?sort=colour": "invalid-sort", "/top?limit=0": "invalid-limit",
    "/top?kind=lun&sort=cpu_percent": "invalid-sort", "/live": "invalid-object", "/live?object=lun:*&metric=x": "invalid-metric",
}


@test(quick=True)
def bad_parameters_are_told(env):
    daemon = env.daemon()
    daemon.serve("vol1")
    for path, code in BAD.items():
        answer = daemon.rest.get(path, expect=400)
        assert answer.code == code, (path, answer)
    assert daemon.rest.get("/series?object=lun:none", expect=404).code == "no-such-object"
    assert daemon.rest.get("/charts/heatmap.svg?object=lun:none", expect=404).code == "no-such-object"
    assert daemon.rest.get("/charts/group.svg?group=target:iqn.none", expect=404).code == "no-such-object"
    for name in ("none", "iops.gif", "iops.svg.png"):
        assert daemon.rest.get(f"/charts/{name}", expect=404).code == "no-such-chart"


@test(quick=True, timeout_s=60)
def csv_is_the_same_as_json(env):
    daemon = env.daemon()
    url = daemon.serve("vol1")
    sampled(daemon, "vol1")
    write_and_read(env, url, 4)
    wait_for_totals(daemon, {("lun:vol1", "write_bytes_per_s"): 4 * MIB})
    now = int(time.time()) - 2
    query = f"object=lun:vol1,worker:0&metric=write_bytes_per_s,queue_depth&from={now - 30}&to={now}&step=1"
    answer = daemon.rest.get(f"/series?{query}").json
    header, *rows = csv.reader(io.StringIO(daemon.rest.get(f"/series.csv?{query}").text))
    again = daemon.rest.get(f"/series?{query}", headers={"Accept": "text/csv"})
    assert again.headers["content-type"].startswith("text/csv") and list(csv.reader(io.StringIO(again.text)))[1:] == rows
    assert header == ["time"] + [f"{s['object']} {s['metric']}" for s in answer["series"]]
    assert len(rows) == len(answer["series"][0]["values"]) == 30
    for column, one in enumerate(answer["series"], 1):
        assert [float(r[column]) if r[column] else None for r in rows] == one["values"]


class Live:
    """GET /live, read by a thread."""

    def __init__(self, daemon, query):
        self.connection = http.client.HTTPConnection("127.0.0.1", daemon.http_port, timeout=60)
        self.connection.request("GET", f"/api/v1/live?{query}", headers={"Authorization": f"Bearer {daemon.token()}"})
        self.answer = self.connection.getresponse()
        self.samples = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for line in self.answer:
                if line.startswith(b"data: "):
                    self.samples.append(json.loads(line[6:]))
        except (OSError, ValueError, AttributeError):
            pass

    def close(self):
        self.connection.close()


@test(quick=True, timeout_s=60)
def the_live_stream_shows_each_second_what_is_done(env):
    daemon = env.daemon()
    url = daemon.serve("vol1")
    live = Live(daemon, "object=lun:*&metric=write_bytes_per_s")
    assert live.answer.headers["content-type"] == "text/event-stream"
    wait.until(lambda: any(s["samples"] for s in list(live.samples)), "a sample")
    write_and_read(env, url, 8)

    def seen():
        done, before = 0.0, None
        for sample in list(live.samples):
            for one in sample["samples"]:
                if before:
                    done += (one["values"]["write_bytes_per_s"] or 0) * (sample["time_ms"] - before) / 1000
            before = sample["time_ms"]
        return abs(done - 8 * MIB) < MIB / 2

    wait.until(seen, "the live stream to show 8 MiB", 15 * daemon.slow)
    daemon.serve("vol2", number=1)
    wait.until(lambda: [s["object"] for s in live.samples[-1]["samples"]] == ["lun:vol1", "lun:vol2"], "the new LUN", 5 * daemon.slow)
    times = [s["time_ms"] for s in live.samples]
    assert times == sorted(set(times))
    live.close()


@test(timeout_s=90)
def a_worker_that_is_killed_makes_no_spike(env):
    daemon = env.daemon()
    url = daemon.serve("vol1")
    sampled(daemon, "vol1")
    write_and_read(env, url, 8)
    wait_for_totals(daemon, {("lun:vol1", "write_bytes_per_s"): 8 * MIB})
    old = daemon.kill("worker0")
    daemon.wait_for_new("worker0", old)
    new = time.time() * 1000
    wait.until(lambda: daemon.rest.get("/top").json["time_ms"] > new + 3000, "samples of the new worker", 10 * daemon.slow)
    write_and_read(env, url, 8)
    found = wait_for_totals(daemon, {("lun:vol1", "write_bytes_per_s"): 16 * MIB, ("worker:0", "write_bytes_per_s"): 16 * MIB})
    for values in found.values():
        assert max(v or 0 for v in values) <= 16 * MIB


@test(timeout_s=120)
def a_daemon_that_was_stopped_leaves_a_gap(env):
    daemon = env.daemon()
    url = daemon.serve("vol1")
    sampled(daemon, "vol1")
    write_and_read(env, url, 8)
    wait_for_totals(daemon, {("lun:vol1", "write_bytes_per_s"): 8 * MIB})
    assert daemon.terminate() == 0
    stopped = time.time()
    wait.until(lambda: time.time() - stopped > 8, "eight seconds without the daemon", 10)
    daemon.ready_after_s = None
    daemon.start()
    sampled(daemon, "vol1")
    write_and_read(env, url, 8)
    found = wait_for_totals(daemon, {("lun:vol1", "write_bytes_per_s"): 16 * MIB})
    values = found["lun:vol1", "write_bytes_per_s"]
    known = [i for i, v in enumerate(values) if v is not None]
    gap = values[known[0]:known[-1]].count(None)
    env.note(f"{gap} s of the gap")
    assert 5 <= gap <= 30, values[known[0]:]


@test(timeout_s=120)
def a_broken_file_of_history_is_set_aside(env):
    daemon = env.daemon()
    url = daemon.serve("vol1")
    sampled(daemon, "vol1")
    write_and_read(env, url, 4)
    wait_for_totals(daemon, {("lun:vol1", "write_bytes_per_s"): 4 * MIB})
    daemon.terminate()
    files = sorted((daemon.state / "history" / "lun").glob("vol1*.rrd"))
    assert files, list((daemon.state / "history").rglob("*"))
    files[-1].write_bytes(b"this is no RRD" * 1000)
    daemon.ready_after_s = None
    daemon.start()
    sampled(daemon, "vol1")
    daemon.rest.get("/series?object=lun:vol1", expect=200)
    wait.until(lambda: list((daemon.state / "history").rglob(f"{files[-1].name}.bad-*")), "the file set aside", 30 * daemon.slow)
    lines = [l for l in daemon.log().splitlines() if "set aside" in l]
    assert len(lines) == 1, lines
    write_and_read(env, url, 4)


@test(timeout_s=120)
def the_history_of_a_removed_lun_stays(env):
    daemon = env.daemon()
    url = daemon.serve("vol1")
    sampled(daemon, "vol1")
    write_and_read(env, url, 4)
    wait_for_totals(daemon, {("lun:vol1", "write_bytes_per_s"): 4 * MIB})
    wait.until(lambda: list((daemon.state / "history" / "lun").glob("vol1*.rrd")), "its file", 30 * daemon.slow)
    daemon.rest.delete("/luns/vol1?force=true")
    wait.until(lambda: not daemon.rest.get("/top").json["items"], "no LUN in the sample", 20 * daemon.slow)
    wait_for_totals(daemon, {("lun:vol1", "write_bytes_per_s"): 4 * MIB})
    daemon.rest.put("/settings", {"history_keep_days": 1}, headers={"If-Match": "*"})
    daemon.rest.put("/settings", {"history_keep_days": 0}, headers={"If-Match": "*"}, expect=422)


@test(timeout_s=240)
def drawing_does_not_delay_other_requests(env):
    daemon = env.daemon()
    daemon.serve("vol1")
    sampled(daemon, "vol1")
    if daemon.picture("/api/v1/charts/latency.png") is None:
        env.note("rsvg-convert is not installed")
    ends, statuses, late = time.monotonic() + 12, [], []

    def draw():
        while time.monotonic() < ends:
            statuses.append(daemon.rest.raw("GET", "/api/v1/charts/latency.png?width=4000&height=2000&from=-2d",
                                            headers={"Authorization": f"Bearer {daemon.token()}"}, timeout_s=120).status)

    threads = [threading.Thread(target=draw) for _ in range(8)]
    for thread in threads:
        thread.start()
    connection = http.client.HTTPConnection("127.0.0.1", daemon.http_port, timeout=30)
    while time.monotonic() < ends:
        started = time.monotonic()
        connection.request("GET", "/livez")
        assert connection.getresponse().read() == b"ok\n"
        late.append(time.monotonic() - started)
    for thread in threads:
        thread.join()
    late.sort()
    env.note(f"{len(statuses)} pictures; /livez {len(late)} times: median {late[len(late) // 2] * 1e3:.1f} ms, "
             f"99 % {late[len(late) * 99 // 100] * 1e3:.1f} ms, largest {late[-1] * 1e3:.1f} ms")
    assert set(statuses) <= {200, 503} and 200 in statuses, set(statuses)
    assert late[len(late) * 99 // 100] < 0.1 * env.slow and late[-1] < 0.5 * env.slow


@test(timeout_s=60)
def too_many_pictures_at_a_time_are_refused(env):
    daemon = env.daemon()
    answers = []

    def draw():
        answers.append(daemon.rest.raw("GET", "/api/v1/charts/latency.png?width=2000&height=1000",
                                       headers={"Authorization": f"Bearer {daemon.token()}"}, timeout_s=120))

    threads = [threading.Thread(target=draw) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    busy = [a for a in answers if a.status == 503 and a.code == "busy"]
    if any(a.code == "png-unavailable" for a in answers):
        env.note("rsvg-convert is not installed")
        return
    env.note(f"{len(busy)} of {len(answers)} refused")
    assert busy and all(a.headers["retry-after"] == "1" for a in busy)
    assert len(busy) + sum(a.status == 200 for a in answers) == len(answers), [a.status for a in answers]


# ------------------------------------------------------------ browsers

def log_in(daemon, token=None, **headers):
    """POST /login as curl or a page does it."""
    body = json.dumps({"token": token or daemon.token()}).encode()
    return daemon.rest.raw("POST", "/api/v1/login", body, {"Content-Type": "application/json", **headers})


@test(quick=True)
def a_browser_logs_in_and_changes_only_from_its_own_page(env):
    daemon = env.daemon()
    answer = log_in(daemon)
    assert answer.status == 200 and answer.json["actor"] == "admin" and answer.json["role"] == "admin", answer
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Strict", "Max-Age=43200"}, attributes
    me = daemon.rest.raw("GET", "/api/v1/login", headers={"Cookie": f"other=1; {cookie}"})
    assert me.status == 200 and me.json["expires_at"], me
    page = {"Cookie": cookie, "Content-Type": "application/json"}
    own = {"Origin": f"http://127.0.0.1:{daemon.http_port}"}
    body = b'{"size_bytes": 1048576}'

    def put(name, **headers):
        return daemon.rest.raw("PUT", f"/api/v1/luns/{name}", body, {**page, **headers})

    for headers in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site", **own}, {"Sec-Fetch-Site": "none"},
                    {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": f"http://127.0.0.1:{daemon.http_port}0"}):
        refused = put("vol", **headers)
        assert refused.status == 403 and refused.code == "cross-site", (headers, refused)
    assert put("vol", **{**own, "Content-Type": "text/plain"}).status == 415
    assert put("vol", **own).status == 201
    assert put("vol2", **{"Sec-Fetch-Site": "same-origin"}).status == 201
    out = daemon.rest.raw("DELETE", "/api/v1/login", headers={**page, **own})
    assert out.status == 204 and "Max-Age=0" in out.headers["set-cookie"], out
    assert daemon.rest.raw("GET", "/api/v1/login", headers=page).status == 401
    actors = [e["actor"] for e in daemon.rest.get("/audit").json["items"] if e["object"] == "lun:vol2"]
    assert actors == ["admin"], actors


@test(quick=True)
def a_session_ends_with_its_token_and_wrong_ones_are_limited(env):
    daemon = env.daemon()
    made = daemon.rest.put("/tokens/eve", {"role": "viewer"}).json
    cookie = log_in(daemon, made["token"]).headers["set-cookie"].split(";")[0]
    assert daemon.rest.raw("GET", "/api/v1/luns", headers={"Cookie": cookie}).status == 200
    refused = daemon.rest.raw("PUT", "/api/v1/luns/x", b'{"size_bytes": 1048576}',
                              {"Cookie": cookie, "Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"})
    assert refused.status == 403 and refused.code == "forbidden", refused
    daemon.rest.delete("/tokens/eve", headers={"If-Match": "*"})
    assert daemon.rest.raw("GET", "/api/v1/luns", headers={"Cookie": cookie}).status == 401
    assert log_in(daemon, **{"Origin": "http://evil.example"}).code == "cross-site"
    assert log_in(daemon, "no token").status == 401
    assert daemon.rest.raw("POST", "/api/v1/login", b"{}", {"Content-Type": "application/json"}).status == 422
    answers = [log_in(daemon, f"lnt_{n}").status for n in range(30)]
    assert answers[0] == 401 and answers[-1] == 429, answers
    assert log_in(daemon).status == 200


@test(quick=True)
def the_dashboard_is_served_from_its_directory(env):
    web = env.scratch / "web"
    web.mkdir()
    (web / "index.html").write_text("<!doctype html><title>x</title>")
    (web / "app-4F6GH2KL.js").write_text("1;")
    (web / "app-4F6GH2KL.js.gz").write_bytes(b"\x1f\x8b not really")
    (web / "bad name.js").write_text("2;")
    (web / "loop").symlink_to("loop")
    daemon = env.daemon(extra=["--web", str(web)])
    page = daemon.rest.raw("GET", "/")
    assert page.status == 200 and page.text.startswith("<!doctype") and page.headers["cache-control"] == "no-cache"
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["cross-origin-opener-policy"] == "same-origin" and page.headers["referrer-policy"] == "no-referrer"
    assert daemon.rest.raw("GET", "/", headers={"If-None-Match": page.etag}).status == 304
    script = daemon.rest.raw("GET", "/assets/app-4F6GH2KL.js")
    assert script.text == "1;" and "immutable" in script.headers["cache-control"]
    assert script.headers["content-type"].startswith("text/javascript")
    packed = daemon.rest.raw("GET", "/assets/app-4F6GH2KL.js", headers={"Accept-Encoding": "br, gzip"})
    assert packed.headers["content-encoding"] == "gzip" and packed.etag != script.etag
    head = Client(daemon.http_port, daemon.token).raw("HEAD", "/assets/app-4F6GH2KL.js")
    assert head.status == 200 and head.text == "" and head.headers["content-length"] == "2"
    for name in ("none.js", "bad%20name.js", "loop", "..%2fadmin.token", "app-4F6GH2KL.js.gz"):
        assert daemon.rest.raw("GET", f"/assets/{name}").status == 404, name
    (web / "index.html").unlink()
    assert daemon.rest.raw("GET", "/").status == 200
    plain = env.daemon(extra=["--web", str(env.scratch)])
    assert "make web" in plain.rest.raw("GET", "/").text
