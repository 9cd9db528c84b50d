# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
"""The console's pages: what they show to whom, what they do, and that what is
refused loses nothing."""

import html
import io
import os
import re
import subprocess
import tarfile

import pytest

from console import Console, settings
from receivers import Hook, certificate
from suite import EICAR, Suite, opens, wait_for


@pytest.fixture(scope="module")
def console():
    with Suite(life=900, **settings()) as s:
        for level in "2345":
            d = s.root / f"etc/rc{level}.d"
            d.mkdir(parents=True)
            (d / "S01splx").symlink_to("../init.d/splx")
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
def operator(console, admin):
    return console.user("olga", "operator")


@pytest.fixture(scope="module")
def viewer(console, admin):
    return console.user("victor", "viewer")


@pytest.fixture(scope="module")
def japanese(console, admin):
    v = console.user("jun", "admin")
    v.post("/preferences", {"lang": "ja"})
    return v


def heading(answer):
    return html.unescape(re.search(r"<h1>([^<]*)</h1>", answer.text)[1])


def sure(v, path, fields, on):
    """A form that asks once more: first the question, then yes."""
    asked = v.post(path, fields, on=on)
    assert asked.status == 200 and 'name="sure"' in asked.text, asked.words
    sent = {html.unescape(n): html.unescape(t) for n, t in re.findall(
        r'<input type="hidden" name="([^"]*)" value="([^"]*)">',
        asked.text.split('class="actions"', 1)[1].split("</form>")[0])}
    assert sent["sure"] == "yes"
    for name, value in fields.items():
        assert sent[name] == value
    return asked, v.ask("POST", path, sent)


PAGES = {
    # path: who may, and what may be done there by whom (word: roles)
    "/statistics": ("viewer operator admin",
                    {"/statistics/exclude": "admin",
                     "/statistics/reset": "operator admin"}),
    "/module": ("viewer operator admin",
                {"/module/load": "admin", "/module/order": "admin"}),
    "/network": ("viewer operator admin",
                 {"/network/test": "viewer operator admin",
                  "/network/learn": "admin"}),
    "/notifications": ("viewer operator admin",
                       {"/notifications/test": "admin",
                        "/notifications/remove": "admin"}),
    "/maintenance": ("admin", {"/maintenance/import": "admin",
                               "/maintenance/diagnose": "admin"}),
}


@pytest.mark.parametrize("path", PAGES)
def test_each_role_sees_what_it_may_do_and_no_more(console, admin, operator,
                                                   viewer, path):
    path_roles, actions = PAGES[path]
    busy(console)
    console.suite.ctl("notify", "set", "seen", "Type=syslog",
                      "Protocol=local", "Enabled=no")
    for role, v in (("admin", admin), ("operator", operator),
                    ("viewer", viewer)):
        got = v.get(path)
        if role not in path_roles.split():
            assert got.status == 403, (role, path)
            assert f'href="{path}"' not in v.get("/").text
            continue
        assert got.status == 200, (role, path)
        assert f'<a href="{path}" aria-current="page"' in got.text
        for action, roles in actions.items():
            may = role in roles.split()
            assert (f'action="{action}"' in got.text) == may, (role, action)
            if not may:
                # and who sends it all the same is refused
                assert v.post(action, {"sure": "yes"}, on="/").status == 403


@pytest.mark.parametrize("path", PAGES)
def test_the_pages_speak_japanese(console, admin, path):
    v = console.visitor("admin")
    v.post("/preferences", {"lang": "ja"})
    got = v.get(path)
    v.post("/preferences", {"lang": "en"})
    assert re.search("[\u3040-\u30ff\u4e00-\u9fff]", heading(got))
    assert not re.search(r"<(h2|th|button[^>]*)>[ -;=-~]{4,}</",
                         got.text.split("<footer")[0])


JAPANESE = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")


def texts(page, pattern):
    """What stands in the pieces of a page, without markup."""
    return [html.unescape(re.sub(r"<[^>]*>", "", t)).strip()
            for t in re.findall(pattern, page, re.S)]


def test_what_the_service_says_is_told_in_japanese(console, admin, japanese):
    console.suite.ctl("config", "set", "RealtimeScan", "3", check=True)
    try:
        said = r'<strong>[^<]*</strong>(.*?)</p>|class="next">(.*?)</p>'
        for v, its in ((japanese, True), (admin, False)):
            shown = [a or b for a, b in re.findall(
                said, v.get("/").text.split('class="issues"')[1]
                .split("</ul>")[0], re.S)]
            assert len(shown) >= 4
            for text in shown:
                assert bool(JAPANESE.search(text)) == its, text
        assert "RealtimeScan が 3 です" in japanese.get("/").text
        # what is for programs is in one language
        health = console.suite.ctl("health", "--output", "json",
                                   check=False).stdout
        assert "executions are not examined" in health
        assert not JAPANESE.search(health)
    finally:
        console.suite.ctl("config", "reset", "RealtimeScan", check=True)


def test_every_setting_is_explained_in_japanese(console, admin, japanese):
    ja = japanese.get("/settings").text
    en = admin.get("/settings").text
    help_ = r'class="option"><div><strong[^>]*>[^<]*</strong><p[^>]*>(.*?)</p>'
    assert len(texts(ja, help_)) == len(texts(en, help_)) > 70
    assert all(JAPANESE.search(t) for t in texts(ja, help_))
    assert not any(JAPANESE.search(t) for t in texts(en, help_))


def busy(console):
    d = console.suite.dir / "busy"
    d.mkdir(exist_ok=True)
    f = d / "work.bin"
    f.write_bytes(os.urandom(200000))
    opens(f)
    wait_for(lambda: str(f) in console.suite.ctl("statistics").stdout, 20)
    return f


# ---- statistics

def test_one_click_excludes_after_telling_what_that_opens(console, admin):
    f = busy(console)
    got = admin.get("/statistics")
    assert str(f) in got.words and str(f.parent) in got.words
    fields = {"type": "directory", "value": str(f.parent)}
    asked, done = sure(admin, "/statistics/exclude", fields, "/statistics")
    assert "can put malware there" in asked.words
    assert str(f.parent) in asked.words
    # the question alone has done nothing
    assert done.location == "/statistics?note=excluded"
    listed = console.suite.json("exclusion", "list")
    assert [(e["type"], e["value"]) for e in listed] == [
        ("directory", str(f.parent))]
    bad = f.parent / "eicar"
    bad.write_bytes(EICAR)
    assert opens(bad) == 0
    console.suite.ctl("exclusion", "remove", "directory", str(f.parent))
    assert opens(bad) != 0
    bad.unlink(missing_ok=True)


def test_the_question_alone_excludes_nothing(console, admin):
    f = busy(console)
    for answer in ({}, {"sure": "no"}, {"sure": ""}):
        got = admin.post("/statistics/exclude",
                         {"type": "file", "value": str(f), **answer})
        assert got.status == 200 and 'name="sure"' in got.text
    assert console.suite.json("exclusion", "list") == []


def test_an_exclusion_that_is_refused_is_told(console, admin):
    for type_, value in (("file", "relative"), ("bogus", "/x"),
                         ("directory", "")):
        got = admin.post("/statistics/exclude",
                         {"type": type_, "value": value, "sure": "yes"})
        assert got.status in (400, 422), (type_, got.status)
        assert 'role="alert"' in got.text
        assert heading(got) == "Statistics"
    assert console.suite.json("exclusion", "list") == []


def test_hostile_paths_are_shown_and_not_offered(console, admin):
    d = console.suite.dir / "hostile"
    d.mkdir(exist_ok=True)
    names = ["<b onclick=x>\"'&.bin", "right\u202eleft.bin", "new\nline.bin",
             "plain \u65e5\u672c.bin"]
    for name in names:
        (d / name).write_bytes(os.urandom(300000))
        opens(d / name)
    raw = os.fsencode(d) + b"/latin-\xe9.bin"
    with open(raw, "wb") as f:
        f.write(os.urandom(300000))
    with open(raw, "rb"):
        pass
    wait_for(lambda: "plain" in admin.get("/statistics").text, 20)
    text = admin.get("/statistics").text
    assert "<b onclick" not in text and "\u202e" not in text
    offered = {html.unescape(x) for x in
               re.findall(r'name="value" value="([^"]*)"', text)}
    assert str(d / names[0]) in offered and str(d / names[3]) in offered
    # what is not shown as it is would come back as another name
    for word in ("right", "new", "latin"):
        assert word in text
        assert not [x for x in offered if word in x], word


def test_counting_anew_is_asked_about(console, operator):
    busy(console)
    since = console.suite.json("statistics")["since"]
    assert operator.post("/statistics/reset").status == 200
    assert console.suite.json("statistics")["since"] == since
    _, done = sure(operator, "/statistics/reset", {}, "/statistics")
    assert done.location == "/statistics?note=counts_reset"
    assert console.suite.json("statistics")["since"] > since


# ---- kernel module

def test_the_module_page_says_what_splxctl_says(console, admin, operator):
    status = console.suite.json("module", "status", check=False)
    lock = status["load_lock"]
    for v in (admin, operator):
        words = v.get("/module").words
        if not status["loaded"]:
            assert status["text"] in words
        assert f"{lock['crashes']} of {lock['max']}" in words
        assert "Start order" in words


def test_a_task_is_begun_followed_and_told(console, admin):
    got = admin.post("/module/order", {"dry-run": "yes"}, on="/module")
    assert got.status == 303 and got.location.startswith("/task?id=")
    page = admin.get(got.location)
    assert "order.apply" in page.words
    wait_for(lambda: "Refresh" not in admin.get(got.location).headers, 30)
    task = int(got.location.split("=")[1])
    told = console.suite.json("task", "show", str(task))
    assert told["state"] in ("done", "failed")
    assert told["by"] == "admin"
    page = admin.get(got.location)
    assert told["output"].split("\n")[0][:40] in page.words
    assert admin.get("/task?id=999999").status == 404
    assert admin.get("/task?id=%3Cb%3E").status == 404


def test_nothing_that_cannot_be_undone_happens_by_one_press(console, admin):
    before = console.suite.json("task", "list")
    for path in ("/module/unload", "/module/order", "/module/unlock"):
        got = admin.post(path, {}, on="/module")
        assert got.status == 200 and 'name="sure"' in got.text, path
    assert console.suite.json("task", "list") == before


# ---- notifications

SECRET = "correct horse <battery> staple"


@pytest.fixture(scope="module")
def hook(tmp_path_factory):
    where = tmp_path_factory.mktemp("hook")
    for p in (where, *where.parents[:3]):
        p.chmod(0o755)
    h = Hook(*certificate(where))
    yield h
    h.stop()


def fields_of(answer, action):
    """A form as a browser would send it, untouched."""
    form = answer.text.split(f'action="{action}"', 1)[1].split("</form>")[0]
    out = {}
    for tag in re.findall(r"<input[^>]*>", form):
        attr = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if attr["type"] != "checkbox" or " checked" in tag:
            out[attr["name"]] = html.unescape(attr.get("value", ""))
    for name, options in re.findall(
            r'<select name="([^"]*)">(.*?)</select>', form):
        chosen = re.search(r'value="([^"]*)" selected', options) or \
            re.search(r'value="([^"]*)"', options)
        out[name] = html.unescape(chosen[1])
    for name, text in re.findall(
            r'<textarea name="([^"]*)"[^>]*>\n?(.*?)</textarea>', form, re.S):
        out[name] = html.unescape(text)
    return out


EDIT = "/notifications/edit"


def channel(console, name):
    got = console.suite.json("notify", "show", name)
    return {s["key"]: s["value"] for s in got["settings"]}


def test_a_channel_is_added_tried_changed_and_removed(console, admin, hook):
    fields = fields_of(admin.get(f"{EDIT}?type=webhook"), EDIT)
    fields |= {"name": "hook", "Server": hook.url, "CA": str(hook.crt),
               "Password": SECRET, "Collect": "1s"}
    got = admin.ask("POST", EDIT, fields)
    assert got.location == "/notifications?note=saved", got.words
    set_ = channel(console, "hook")
    assert set_["Server"] == hook.url and set_["Password"] == "set"
    assert set_["Kinds"] == "all"
    # a test, with what the server answers
    hook.reply = "heard <b>you</b>"
    got = admin.post("/notifications/test", {"name": "hook"})
    assert got.status == 200 and "heard" in got.words, got.words
    assert "<b>you" not in got.text
    assert hook.got
    hook.status = 503
    got = admin.post("/notifications/test", {"name": "hook"})
    assert got.status == 502 and 'role="alert"' in got.text
    assert "did not arrive" in got.words
    hook.status = 200
    # what is shown is what is set: sent back as it stands nothing changes
    page = admin.get(f"{EDIT}?name=hook")
    assert SECRET not in html.unescape(page.text)
    fields = fields_of(page, EDIT)
    assert fields["Password"] == ""
    assert admin.ask("POST", EDIT, fields).status == 303
    assert channel(console, "hook") == set_
    # fewer kinds, no password
    del fields["kind_audit"], fields["kind_scan"]
    fields["clear_Password"] = "yes"
    assert admin.ask("POST", EDIT, fields).status == 303
    now = channel(console, "hook")
    assert now["Password"] == "" and now["Kinds"] == \
        "virus, update, system, network"
    _, done = sure(admin, "/notifications/remove", {"name": "hook"},
                   "/notifications")
    assert done.location == "/notifications?note=channel_removed"
    assert console.suite.ctl("notify", "show", "hook",
                             check=False).returncode != 0
    assert SECRET not in console.suite.ctl("events", "list",
                                           "--kind=audit").stdout


@pytest.mark.parametrize("type_", ["smtp", "snmp", "syslog", "webhook"])
def test_a_refused_channel_loses_nothing_that_was_typed(console, admin,
                                                        type_):
    fields = fields_of(admin.get(f"{EDIT}?type={type_}"), EDIT)
    typed = {"name": "bad", "Server": "a b <c>\"'", "Rate": "many & more",
             "Codes": "x"}
    fields |= typed
    del fields["kind_audit"]
    got = admin.ask("POST", EDIT, fields)
    assert got.status == 422 and 'role="alert"' in got.text
    again = fields_of(got, EDIT)
    again["csrf"] = fields["csrf"]
    assert again == fields
    assert "<c>" not in got.text
    assert console.suite.ctl("notify", "show", "bad",
                             check=False).returncode != 0
    for kind in ("virus", "scan", "update", "system", "network"):
        del fields[f"kind_{kind}"]
    got = admin.ask("POST", EDIT, fields)
    assert got.status == 422 and "at least one" in got.words


def test_a_channel_cannot_be_smuggled_into_a_value(console, admin):
    fields = fields_of(admin.get(f"{EDIT}?type=syslog"), EDIT)
    before = console.suite.ctl("notify", "list").stdout
    for evil in ("/dev/log\n[evil]\nType=syslog\nProtocol=local",
                 "/dev/log\r\nPassword=x", "# x"):
        admin.ask("POST", EDIT, fields | {"name": "plain",
                                          "Protocol": "local",
                                          "Server": evil})
        assert "evil" not in console.suite.ctl("notify", "list",
                                               check=False).stdout
    console.suite.ctl("notify", "remove", "plain", check=False)
    for name in ("a]\n[b", "../x", "", "<b>", "x" * 300):
        got = admin.ask("POST", EDIT, fields | {"name": name,
                                                "Protocol": "local",
                                                "Server": "/dev/log"})
        assert got.status in (400, 422), name
    assert console.suite.ctl("notify", "list").stdout.split() == before.split()


def test_what_waits_is_shown_and_dropped_after_a_question(console, admin,
                                                         viewer):
    console.suite.ctl("notify", "set", "away", "Type=webhook",
                      "Server=https://127.0.0.1:9/", "Severity=info",
                      "Collect=1s")
    bad = console.suite.dir / "queued <i>&"
    bad.write_bytes(EICAR)
    opens(bad)
    path = "/notifications/queue?name=away"
    wait_for(lambda: "queued <i>&" in html.unescape(viewer.get(path).text),
             20)
    text = viewer.get(path).text
    assert "<i>" not in text and "/notifications/drop" not in text
    wait_for(lambda: "fails" in viewer.get("/notifications").words, 30)
    sure(admin, "/notifications/drop", {"name": "away"}, "/notifications")
    assert "queued" not in viewer.get(path).words
    console.suite.ctl("notify", "remove", "away")
    assert viewer.get(path).status == 404
    assert viewer.get("/notifications/queue").status in (400, 404)


# ---- maintenance

IMPORT = "/maintenance/import"


def import_(v, text, **more):
    return v.post(IMPORT, {"text": text, **more}, on="/maintenance")


def test_settings_go_out_and_in_and_are_shown_before(console, admin):
    got = admin.get("/maintenance/export")
    assert got.status == 200
    assert "attachment" in got.headers["Content-Disposition"]
    assert got.headers["Cache-Control"] == "no-store"
    before = got.text
    assert "ConsoleHttpsPort" in before
    # as it is: nothing to do
    got = import_(admin, before)
    assert got.location == "/maintenance?note=import_nothing"
    changed = re.sub(r"(?m)^ScanTimeout = .*$", "ScanTimeout = 77s", before)
    assert changed != before
    asked = import_(admin, changed.replace("\n", "\r\n"))
    assert asked.status == 200 and "ScanTimeout" in asked.words
    assert admin.get("/maintenance/export").text == before
    sent = fields_of(asked, IMPORT)
    assert sent["sure"] == "yes"
    got = admin.ask("POST", IMPORT, sent)
    assert got.location == "/maintenance?note=imported", got.words
    assert console.suite.json("config", "get", "ScanTimeout")["value"] == \
        "77s"
    assert import_(admin, before, sure="yes").status == 303
    assert admin.get("/maintenance/export").text == before


def test_settings_that_are_wrong_change_nothing_and_are_shown_again(
        console, admin):
    before = admin.get("/maintenance/export").text
    for text in (before + "\nNoSuchThing = <b>1</b>\n", "ScanTimeout = x",
                 before + "# \u202e in a remark\n", "ScanTimeout"):
        for more in ({}, {"sure": "yes"}):
            got = import_(admin, text, **more)
            assert got.status == 422 and 'role="alert"' in got.text, text
            assert "<b>1" not in got.text and "\u202e" not in got.text
            if "\u202e" not in text:
                assert fields_of(got, IMPORT)["text"] == text
    assert admin.get("/maintenance/export").text == before


def test_a_file_is_uploaded_by_a_form_of_parts(console, admin):
    text = admin.get("/maintenance/export").text
    text = re.sub(r"(?m)^ScanTimeout = .*$", "ScanTimeout = 88s", text)
    parts = {"csrf": admin.get("/").csrf(), "text": "", "file": text}
    body = "".join(
        f'--xyz\r\nContent-Disposition: form-data; name="{n}"'
        + ('; filename="a.conf"\r\nContent-Type: text/plain' if n == "file"
           else "") + f"\r\n\r\n{t}\r\n" for n, t in parts.items()) \
        + "--xyz--\r\n"
    got = admin.ask("POST", IMPORT, body.encode(), {
        "Content-Type": "multipart/form-data; boundary=xyz"})
    assert got.status == 200 and "88s" in got.words
    assert fields_of(got, IMPORT)["text"] == text


def test_a_bundle_is_made_in_the_background(console, admin):
    got = admin.post("/maintenance/diagnose", on="/maintenance")
    assert got.location.startswith("/task?id=")
    wait_for(lambda: "Refresh" not in admin.get(got.location).headers, 60)
    assert "diagnose" in admin.get("/maintenance").words
    task = console.suite.json("task", "show", got.location.split("=")[1])
    assert task["state"] == "done" and task["result"]
    page = admin.get(got.location)
    result = f"/task/result?id={task['id']}"
    assert f'href="{result}"' in page.text
    got = admin.get(result)
    assert got.status == 200
    assert ".tar.gz" in got.headers["Content-Disposition"]
    with tarfile.open(fileobj=io.BytesIO(got.body), mode="r:gz") as tar:
        names = tar.getnames()
        for member in tar:
            if member.isfile():
                tar.extractfile(member).read()
    assert len(names) > 3
    assert admin.get("/task/result?id=999999").status == 404
    assert admin.get("/task/result?id=x").status == 404


# ---- administration

def test_what_was_refused_stands_in_its_form_and_in_no_other(console, admin):
    got = admin.post("/admin/user-add", {"name": "no <good> name",
                                         "role": "operator"}, on="/admin")
    assert got.status == 422 and 'role="alert"' in got.text
    typed = fields_of(got, "/admin/user-add")
    assert typed["name"] == "no <good> name" and typed["role"] == "operator"
    assert fields_of(got, "/admin/token-add")["name"] == ""
    assert "<good>" not in got.text
    # of forms alike only the one that was sent
    got = admin.post("/settings/set", {"key": "ScanTimeout",
                                       "value": "a while"}, on="/settings")
    assert got.status == 422
    assert got.text.count('value="a while"') == 1


def test_a_private_key_is_never_shown_again(console, admin):
    got = admin.post("/admin/certificate", {
        "certificate": "no\ncertificate", "key": "some PRIVATE key"},
        on="/admin")
    assert got.status == 422
    assert "PRIVATE" not in got.text
    assert fields_of(got, "/admin/certificate")["certificate"] == \
        "no\ncertificate"


def test_administration_leads_to_all_that_belongs_to_it(console, admin):
    text = admin.get("/admin").text
    for path in ("/password", "/logs?kind=audit", "/settings",
                 "/maintenance"):
        assert f'href="{path}"' in text
        assert admin.get(path).status == 200


def test_the_own_session_is_marked(console, admin):
    other = console.visitor("admin")
    assert admin.get("/admin").words.count("this session") == 1
    sessions = console.suite.json("session", "list")
    assert len(sessions) > 1 and not any(s["own"] for s in sessions)
    other.close()


def test_a_certificate_comes_as_two_files(console, admin):
    d = console.suite.root / "tls"
    d.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048",
                    "-keyout", d / "k", "-out", d / "c", "-days", "90",
                    "-subj", "/CN=upload.example"], check=True,
                   capture_output=True)
    body = "".join(
        f'--B\r\nContent-Disposition: form-data; name="{name}"'
        f'{more}\r\n\r\n{value}\r\n' for name, more, value in (
            ("csrf", "", admin.get("/admin").csrf()),
            ("certificate", '; filename="c.pem"', (d / "c").read_text()),
            ("certificate", "", ""),
            ("key", '; filename="k.pem"', (d / "k").read_text()),
            ("key", "", ""))) + "--B--\r\n"
    got = admin.ask("POST", "/admin/certificate", body, {
        "Content-Type": "multipart/form-data; boundary=B"})
    assert got.location == "/admin?note=done", got.words
    wait_for(lambda: "upload.example" in admin.get("/admin").words, 20)
    assert "PRIVATE" not in admin.get("/logs?kind=audit").text
