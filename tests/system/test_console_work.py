# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""Every page as each role; what the forms do (actions.def); the programming
interface."""

import html
import json
import os
import re
import signal
import time

import pytest

from console import Console, Visitor, routes, settings
from suite import EICAR, REPO, Suite, denied, opens, wait_for
from test_scans import job, live_job, settled, tree

RANK = {"ALL": 0, "SESSION": 0, "TOKEN": 0, "VIEWER": 1, "OPERATOR": 2,
        "ADMIN": 3}


@pytest.fixture(scope="module")
def console():
    with Suite(life=900, **settings()) as s:
        s.start()
        c = Console(s).start()
        try:
            yield c
        finally:
            c.stop()


@pytest.fixture(scope="module")
def admin(console):
    return console.admin()


@pytest.fixture(scope="module")
def people(console, admin):
    return {"viewer": console.user("vera", "viewer"),
            "operator": console.user("otto", "operator"), "admin": admin}


def quarantined(console, name):
    """An infected file that was taken away; its item."""
    bad = console.suite.dir / name
    bad.write_bytes(EICAR)
    opens(bad)

    def item():
        items = console.suite.json("quarantine", "list")["items"]
        return next((i for i in items if i["path"].endswith(name)), None)
    return bad, wait_for(item)


# ---- every page, as each role

@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_every_page_is_for_its_roles_alone(console, people, role):
    v = people[role]
    _, item = quarantined(console, f"{role}.com")
    for method, path, access in routes():
        if access == "TOKEN" or method != "GET" \
                or path in ("/static/", "/task"):
            continue
        asked = path + (f"?id={item['id']}" if path.endswith("/item") else "")
        got = v.get(asked)
        if RANK[access] > RANK[role.upper()]:
            assert got.status == 403, path
            assert str(item["path"]) not in got.text
        else:
            # of what somebody names there may be none
            allowed = (200, 303, 404) if path.count("/") > 1 else (200, 303)
            assert got.status in allowed, (path, got.status, got.words)
        if "html" in got.headers.get("Content-Type", ""):
            assert "<h1>" in got.text and got.text.endswith("</html>\n")
            assert not re.search(r"\{\d\}", got.words), path


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_no_form_does_more_than_its_role(console, people, role):
    v = people[role]
    before = console.suite.json("config", "show")
    for method, path, access in routes():
        if method != "POST" or RANK[access] <= RANK[role.upper()] \
                or access in ("ALL", "SESSION", "TOKEN"):
            continue
        got = v.post(path, {"sure": "yes", "name": "x", "key": "OnError",
                            "value": "deny", "id": "1"})
        assert got.status == 403, path
    assert console.suite.json("config", "show") == before


def test_pages_are_in_japanese_too(console, admin):
    v = console.visitor("admin", language="ja")
    english = console.visitor("admin")
    for method, path, access in routes():
        if method == "GET" and access in ("VIEWER", "OPERATOR", "ADMIN") \
                and path.count("/") == 1 and path != "/task":
            got = v.get(path)
            h1 = re.search("<h1>(.*?)</h1>", got.text)[1]
            assert re.search("[\u3040-\u30ff\u4e00-\u9fff]", h1), path
            assert h1 not in english.get(path).text


# ---- what the forms do

def test_a_file_comes_back_from_quarantine_after_a_second_yes(console, admin):
    bad, item = quarantined(console, "back.com")
    assert not bad.exists()
    fields = {"id": str(item["id"])}
    got = admin.post("/quarantine/restore", fields, on="/quarantine")
    assert got.status == 200 and 'name="sure"' in got.text
    assert not bad.exists()
    got = admin.post("/quarantine/restore", {**fields, "sure": "yes"},
                     on="/quarantine")
    assert got.location == "/quarantine?note=done"
    assert bad.exists() and opens(bad) == 0
    audit = next(e for e in console.suite.events("audit")
                 if e["verb"] == "quarantine.restore")
    assert (audit["user"], audit["from"]) == ("admin", "127.0.0.1")
    # gone by now: the page says so, and shows what is there
    got = admin.post("/quarantine/restore", {**fields, "sure": "yes"},
                     on="/quarantine")
    assert got.status == 404 and 'role="alert"' in got.text


def test_many_are_deleted_at_once(console, admin):
    ids = [quarantined(console, f"many{n}.com")[1]["id"] for n in range(3)]
    token = admin.get("/quarantine").csrf()
    body = "&".join([f"csrf={token}", "sure=yes"]
                    + [f"id={i}" for i in ids])
    got = admin.ask("POST", "/quarantine/delete", body,
                    {"Content-Type": "application/x-www-form-urlencoded"})
    assert got.status == 303
    left = [i["id"] for i in console.suite.json("quarantine", "list")["items"]]
    assert not set(ids) & set(left)


def test_a_setting_is_refused_or_taken_and_told_with_before_and_after(
        console, admin):
    got = admin.post("/settings/set", {"key": "ScanTimeout",
                                       "value": "soon"}, on="/settings")
    assert got.status == 422 and "ScanTimeout" in got.words
    got = admin.post("/settings/set", {"key": "ScanTimeout",
                                       "value": "47s"}, on="/settings")
    assert got.location == "/settings?note=done"
    assert "47s" in console.suite.ctl("config", "get", "ScanTimeout").stdout
    audit = console.suite.events("audit")[0]
    assert json.loads(audit["before"]) == {"ScanTimeout": "1m"}
    assert json.loads(audit["after"]) == {"ScanTimeout": "47s"}
    admin.post("/settings/reset", {"key": "ScanTimeout"}, on="/settings")
    assert "1m" in console.suite.ctl("config", "get", "ScanTimeout").stdout


def test_accounts_are_made_changed_and_removed(console, admin):
    got = admin.post("/admin/user-add", {"name": "new-one",
                                         "role": "viewer"}, on="/admin")
    secret = re.search(r'class="secret"><code>([^<]+)<', got.text)[1]
    v = Visitor(console)
    assert v.login("new-one", secret).location == "/password"
    console.own_password(v)
    assert v.get("/scan").status == 403
    got = admin.post("/admin/user-set", {"name": "new-one",
                                         "role": "operator"}, on="/admin")
    assert got.status == 303
    assert v.get("/scan").status == 200
    admin.post("/admin/user-remove", {"name": "new-one", "sure": "yes"},
               on="/admin")
    assert v.get("/").location.startswith("/login")
    assert secret not in admin.get("/admin").text


def test_a_scan_is_begun_and_its_findings_told(console, people):
    d = console.suite.root / "elsewhere"
    d.mkdir()
    (d / "bad.com").write_bytes(EICAR)
    (d / "good.txt").write_bytes(b"good")
    v = people["operator"]
    got = v.post("/scan/start", {"path": f"{d}\n\n"}, on="/scan")
    assert got.location == "/scan?note=done", got.words

    def done():
        jobs = console.suite.json("scan", "list")["jobs"]
        return jobs and jobs[0]["state"] == "done" and jobs[0]
    job = wait_for(done, 30)
    assert job["infected"] == 1
    page = v.get("/scan")
    assert "done" in page.words and str(d) in page.words
    assert f"/scan/job?id={job['id']}" in page.text
    found = wait_for(lambda: str(d / "bad.com") in v.get(
        f"/scan/job?id={job['id']}").words)
    assert found and v.get("/scan/job?id=999999").status == 404


def test_a_scan_is_paused_gone_on_with_and_cancelled(console, people):
    s, v = console.suite, people["operator"]
    d = tree(s, "long")
    v.post("/scan/start", {"path": str(d)}, on="/scan")
    number = live_job(s, d)["id"]

    def state(wanted):
        """As entity and the page say it; what may be done follows from it."""
        wait_for(lambda: job(s, number)["state"] == wanted, 30)
        text = v.get("/scan").text
        may = {what for what in ("pause", "resume", "cancel")
               if re.search(rf'"/scan/{what}".*?value="{number}"',
                            text, re.S)}
        assert may == {"running": {"pause", "cancel"},
                       "paused": {"resume", "cancel"}}.get(wanted, set())

    state("running")
    v.post("/scan/pause", {"id": number}, on="/scan")
    state("paused")
    at = settled(s, number)
    v.post("/scan/resume", {"id": number}, on="/scan")
    wait_for(lambda: job(s, number)["files"] > at, 30)
    state("running")
    v.post("/scan/cancel", {"id": number}, on="/scan")
    state("cancelled")
    assert job(s, number)["files"] < 120
    got = v.post("/scan/pause", {"id": number}, on="/scan")
    assert got.status == 409 and "is cancelled" in got.words


def test_a_schedule_is_made_and_changed_field_by_field(console, admin):
    s = console.suite
    fields = {"is": "new", "name": "night", "When": "never",
              "Paths": "/srv/a, b\n/home#1\n", "Exclude": "", "All": "yes",
              "Exclusions": "no", "FirstAction": "quarantine",
              "SecondAction": "default", "Priority": "low", "MaxTime": "90s",
              "Resume": "yes", "Missed": "skip", "Report": "mail:root"}
    got = admin.post("/scan/schedule", fields, on="/scan/schedule")
    assert got.status == 422 and 'never' in got.words
    assert "/srv/a, b" in got.words and "/home#1" in got.words
    fields["When"] = "30 2 * * 1-5"
    got = admin.post("/scan/schedule", fields, on="/scan/schedule")
    assert got.location == "/scan?note=saved", got.words
    known = {e["key"]: e["value"] for e in
             s.json("schedule", "show", "night")["settings"]}
    assert known["Paths"] == '"/srv/a, b", "/home#1"'
    assert {k: known[k] for k in ("When", "All", "Exclusions", "FirstAction",
                                  "Missed", "Report", "MaxTime")} == \
        {k: fields[k] for k in ("When", "All", "Exclusions", "FirstAction",
                                "Missed", "Report", "MaxTime")}
    assert "/srv/a, b" in admin.get("/scan").words
    form = admin.get("/scan/schedule?name=night").text
    assert ">\n/srv/a, b\n/home#1\n</textarea>" in html.unescape(form)
    fields |= {"is": "known", "Paths": "/srv", "Missed": "run"}
    admin.post("/scan/schedule", fields, on="/scan/schedule?name=night")
    known = {e["key"]: e["value"] for e in
             s.json("schedule", "show", "night")["settings"]}
    assert (known["Paths"], known["Missed"]) == ("/srv", "run")
    assert admin.get("/scan/schedule?name=none").status == 404
    admin.post("/scan/unschedule", {"name": "night", "sure": "yes"},
               on="/scan")
    assert "night" not in [e["name"] for e in
                           s.json("schedule", "list")["schedules"]]


def test_an_exclusion_is_asked_about_once_more(console, admin):
    where = str(console.suite.dir / "db")
    fields = {"type": "directory", "value": where}
    got = admin.post("/scan/exclude", fields, on="/scan")
    assert got.status == 200 and where in got.words
    assert console.suite.json("exclusion", "list") == []
    admin.post("/scan/exclude", {**fields, "sure": "yes"}, on="/scan")
    assert where in admin.get("/scan").words
    admin.post("/scan/include", fields, on="/scan")
    assert console.suite.json("exclusion", "list") == []


def test_a_task_runs_and_is_shown(console, admin):
    got = admin.post("/patterns/task", {"verb": "pattern.check",
                                        "sure": "yes"}, on="/patterns")
    assert got.location == "/patterns?note=done", got.words
    wait_for(lambda: "pattern.check" in admin.get("/patterns").words)
    wait_for(lambda: 'data-again' not in admin.get("/patterns").text, 60)


def test_logs_are_filtered_paged_and_exported(console, admin):
    quarantined(console, "logged.com")
    wait_for(lambda: "logged.com" in admin.get("/logs?kind=virus").words)
    assert "logged.com" not in admin.get("/logs?kind=audit").words
    assert "logged.com" in admin.get("/logs?text=logged").words
    assert admin.get("/logs?since=nonsense").status == 200
    got = admin.get("/logs/export?kind=virus&format=csv")
    assert got.headers["Content-Type"].startswith("text/csv")
    assert "attachment" in got.headers["Content-Disposition"]
    assert got.text.splitlines()[0].startswith("id,time")
    assert "logged.com" in got.text
    got = admin.get("/logs/export?format=jsonl")
    rows = [json.loads(line) for line in got.text.splitlines()]
    assert len(rows) >= len(console.suite.events("virus"))


def test_live_numbers_are_those_of_now_and_no_use_of_the_session(
        console, admin):
    v = console.visitor("admin")
    assert 'data-live="scans"' in v.get("/").text

    def told():
        got = v.get("/live")
        assert got.headers["Content-Type"] == "text/event-stream"
        assert got.text.startswith("retry: ")
        return json.loads(re.search(r"^data: (.*)$", got.text, re.M)[1])
    before = told()
    assert before["overall"] == console.suite.health()["overall"]
    quarantined(console, "live.com")
    assert wait_for(lambda: told()["findings"] > before["findings"])
    gone = Visitor(console)
    assert gone.get("/live").status == 401
    gone.cookies["__Host-splx"] = "A" * 43
    assert gone.get("/live").status == 204


# ---- programs

def token(console, role):
    return console.suite.json("token", "add", f"test-{role}-{time.time_ns()}",
                              f"--role={role}")["token"]


def bearer(t, **more):
    return {"Authorization": f"Bearer {t}", **more}


def test_the_interface_is_the_verb_table(console):
    v, t = Visitor(console), token(console, "viewer")
    got = v.get("/api/v1/status", headers=bearer(t))
    assert got.status == 200
    data = json.loads(got.text)["data"]
    assert data["overall"] == console.suite.health()["overall"]
    got = v.get("/api/v1/events/list?kind=virus&limit=1", headers=bearer(t))
    assert len(json.loads(got.text)["data"]["events"]) <= 1
    # each verb stands in its description, with its role
    spec = json.loads(v.get("/api/v1/openapi.json", headers=bearer(t)).text)
    table = (REPO / "splxcore/common/verbs.def").read_text()
    rows = re.findall(r'VERB\(\w+, "(\w+)", "(\w*)", (\w+), (\w+), (\w+),',
                      table)
    for noun, verb, role, where, does in rows:
        path = f"/{noun}/{verb}".rstrip("/")
        if where != "ENTITY" or path in ("/events/follow", "/task/result",
                                         "/console/setup"):
            assert path not in spec["paths"], path
            assert v.get(f"/api/v1{path}", headers=bearer(t)).status in (
                404, 405)
            continue
        assert spec["paths"][path]["post"]["x-role"] == role.lower()
        assert ("get" in spec["paths"][path]) == (does == "READS"), path


def test_a_token_does_what_its_role_may_and_no_more(console):
    v = Visitor(console)
    viewer, admin_ = token(console, "viewer"), token(console, "admin")
    body = json.dumps({"key": "ScanTimeout", "value": "48s"})
    as_json = {"Content-Type": "application/json"}
    got = v.ask("POST", "/api/v1/config/set", body,
                bearer(viewer, **as_json))
    assert got.status == 403
    assert json.loads(got.text)["error"]["status"] == 403
    assert v.get("/api/v1/config/set", headers=bearer(admin_)).status == 405
    got = v.ask("POST", "/api/v1/config/set", body,
                bearer(admin_, **as_json))
    assert got.status == 200, got.text
    assert "48s" in console.suite.ctl("config", "get", "ScanTimeout").stdout
    console.suite.ctl("config", "reset", "ScanTimeout")
    for bad in ("[]", "{", '{"key":1}', '{"key":"a","key":"b"}',
                '{"other":"x"}', "x" * 1000):
        got = v.ask("POST", "/api/v1/config/set", bad,
                    bearer(admin_, **as_json))
        assert got.status in (400, 422), bad
    got = v.ask("POST", "/api/v1/config/set", body, bearer(
        admin_, **{"Content-Type": "text/plain"}))
    assert got.status == 400
    # revoked is revoked
    ident = console.suite.json("token", "list")[0]["id"]
    console.suite.ctl("token", "revoke", ident)
    codes = {v.get("/api/v1/status", headers=bearer(t)).status
             for t in (viewer, admin_)}
    assert codes == {200, 401}


def test_without_a_token_the_interface_tells_nothing(console, admin):
    v = Visitor(console)
    for path in ("status", "openapi.json", "console/health", "scan/begin",
                 "nothing", "", "../status", "events.list"):
        got = v.get(f"/api/v1/{path}")
        assert got.status in (401, 404), path
        assert json.loads(got.text)["error"]
    for t in ("", "x", "A" * 43, "\"", "é"):
        assert v.get("/api/v1/status",
                     headers={"Authorization": f"Bearer {t}"
                              .encode().decode("latin-1")}).status == 401
    # a session reads, and its cookie alone changes nothing
    assert admin.get("/api/v1/status").status == 200
    got = admin.ask("POST", "/api/v1/config/set",
                    json.dumps({"key": "ScanTimeout", "value": "9s"}),
                    {"Content-Type": "application/json"})
    assert got.status == 401


def test_metrics_are_for_a_token_or_an_address(console):
    v, s = Visitor(console), console.suite
    assert v.get("/metrics").status == 401
    got = v.get("/metrics", headers=bearer(token(console, "viewer")))
    assert got.status == 200
    assert got.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    line = r"(# (HELP|TYPE) \w+ .*|\w+(\{\w+=\"[^\"]*\"(,\w+=\"[^\"]*\")*\})?" \
           r" [-+.e\d]+)"
    for row in got.text.splitlines():
        assert re.fullmatch(line, row), row
    assert re.search(r"^splx_\w+ \d", got.text, re.M)
    s.ctl("config", "set", "ConsoleMetricsAllow", "127.0.0.0/8")
    wait_for(lambda: Visitor(console).get("/metrics").status == 200, 20)
    s.ctl("config", "reset", "ConsoleMetricsAllow")


def test_denied_files_stay_denied_while_many_look(console, admin):
    bad = console.suite.infected("held.com")
    for _ in range(20):
        assert admin.get("/").status == 200
    assert denied(bad) or not bad.exists()


# ---- scanning off and on

def finished(v, got):
    """The task that a form led to, when it is done; what it says."""
    assert re.fullmatch(r"/task\?id=\d+", got.location), got.words
    return wait_for(lambda: "Refresh" not in (page := v.get(
        got.location)).headers and page.words, 60)


def test_who_is_no_admin_leaves_scanning_alone(people):
    for role in ("viewer", "operator"):
        assert "/scanning/" not in people[role].get("/").text
    assert "/scanning/stop" in people["admin"].get("/").text


def test_scanning_stops_starts_and_restarts_by_hand(console, admin):
    s = console.suite
    bad = s.dir / "stopped.com"

    def written():
        bad.write_bytes(EICAR)
        return bad
    got = admin.post("/scanning/stop", {}, on="/")
    assert got.status == 200 and 'name="sure"' in got.text
    assert "unprotected" in got.words
    assert denied(written()) or not bad.exists()
    got = admin.post("/scanning/stop", {"sure": "yes"}, on="/")
    assert "done" in finished(admin, got)
    assert opens(written()) == 0 and bad.exists()
    health = s.health()
    assert health["overall"] == "Unprotected"
    assert health["operational"] == "Stopped"
    assert health["antimalwareStatus"] == 20001
    page = admin.get("/")
    assert "Stopped" in page.words and "It is stopped" in page.words
    assert "splxctl service start vsapiapp" in page.words
    assert "/scanning/stop" not in page.text
    # whoever else dies: it is stopped, not broken
    core = s.pid_of("core")
    os.kill(core, signal.SIGKILL)
    wait_for(lambda: s.pid_of("core") not in (None, core), 30)
    wait_for(lambda: s.health()["operational"] == "Stopped", 30)
    assert opens(bad) == 0
    got = admin.post("/scanning/start", {}, on="/")
    assert "done" in finished(admin, got)
    assert denied(bad) or not bad.exists()
    wait_for(lambda: s.health()["overall"] != "Unprotected")
    master = s.pid_of("master")
    assert admin.post("/scanning/restart", {}, on="/").status == 200
    assert s.pid_of("master") == master
    got = admin.post("/scanning/restart", {"sure": "yes"}, on="/")
    assert "done" in finished(admin, got)
    assert s.pid_of("master") != master
    assert denied(written()) or not bad.exists()
    assert any("service.stop" in str(dict(e)) for e in s.events("audit"))
