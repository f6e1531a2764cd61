# SPDX-License-Identifier: MIT
"""A stand-in of Cloudflare's API, version 4, as far as devmesh uses it: zones and DNS records.

It answers as documented (https://developers.cloudflare.com/api/, .../api/reference/limits/), and
looks whether it is asked as documented: what is not is answered with 400 and noted as "wrong" in
the log. In the directory that is its argument:

  port      where it listens, on 127.0.0.1; written when it does
  log       a line of JSON for each request: method, path, query, body, status, wrong
  zones     the zones, a list; read at each request
  records   the records, a list; read at each request, and written
  fail      if it is there, what the next requests are answered with: {"status": 429, "code": 10000,
            "message": "...", "retry_after": "2", "times": 1, "raw": "not JSON"}
  hold      while it is there, requests are not answered; "held" is made when one waits
  pages     if it is there, how many members a page has, whatever was asked for
"""
import http.server, ipaddress, json, os, re, sys, time, urllib.parse

DIR = sys.argv[1]
TOKEN = "tEst-tokEn_0123456789abcdefghijklmnopqrs"
BASE = "/client/v4"
TIME = "2026-01-01T00:00:00.000000Z"
PAGING = {"page", "per_page", "order", "direction", "match"}


def path_of(name):
    return os.path.join(DIR, name)


def load(name, default):
    try:
        with open(path_of(name)) as f:
            return json.load(f)
    except FileNotFoundError:
        return default


def save(name, value):
    with open(path_of(name) + ".new", "w") as f:
        json.dump(value, f)
    os.rename(path_of(name) + ".new", path_of(name))


class Wrong(Exception):
    """Asked as the documentation does not have it."""


class Refused(Exception):
    """Asked well, and refused: status, code, message."""


def want(condition, what):
    if not condition:
        raise Wrong(what)


def envelope(result, info=None):
    answer = {"success": True, "errors": [], "messages": [], "result": result}
    if info is not None:
        answer["result_info"] = info
    return answer


def failure(code, message):
    return {"success": False, "errors": [{"code": code, "message": message}], "messages": [], "result": None}


def listed(members, query):
    page, per_page = int(query.get("page", "1")), int(query.get("per_page", "20"))
    want(page >= 1 and 5 <= per_page <= 50, f"page {page}, per_page {per_page}")
    per_page = load("pages", per_page)
    part = members[(page - 1) * per_page : page * per_page]
    return envelope(part, {
        "page": page, "per_page": per_page, "count": len(part), "total_count": len(members),
        "total_pages": max(1, -(-len(members) // per_page)),
    })


def check_record(body):
    want(isinstance(body, dict), "the body is no object")
    want(set(body) >= {"type", "name", "content", "ttl"}, "a member is missing")
    want(set(body) <= {"type", "name", "content", "ttl", "proxied", "comment", "tags", "settings"}, "a member is unknown")
    want(body["type"] == "A", "type")
    want(re.fullmatch(r"(\*\.)?([a-z0-9-]+\.)+[a-z]+", body["name"]), "name")
    want(str(ipaddress.IPv4Address(body["content"])) == body["content"], "content")
    want(type(body["ttl"]) is int and (body["ttl"] == 1 or 60 <= body["ttl"] <= 86400), "ttl")
    want(type(body.get("proxied", False)) is bool, "proxied")
    want(len(body.get("comment", "")) <= 100, "comment")
    if body.get("proxied") and ipaddress.IPv4Address(body["content"]).is_private:
        raise Refused(400, 9003, f"Target {body['content']} is not allowed for a proxied record.")


def zones(query):
    want(set(query) <= PAGING | {"name", "status", "account.id", "account.name"}, "query")
    return listed([z for z in load("zones", []) if z["name"] == query.get("name", z["name"])], query)


def records(zone, query):
    want(set(query) <= PAGING | {"name", "type", "content"}, "query")
    found = [r for r in load("records", []) if r["zone"] == zone and r["name"] == query.get("name", r["name"]) and r["type"] == query.get("type", r["type"])]
    return listed([{k: v for k, v in r.items() if k != "zone"} for r in found], query)


def write(zone, number, body):
    everything = load("records", [])
    check_record(body)
    if not body["name"].endswith("." + zone["name"]):
        raise Refused(400, 9002, "DNS name is invalid.")
    if number is None:
        if any(r["name"] == body["name"] and r["type"] == "CNAME" for r in everything):
            raise Refused(400, 81054, "A CNAME record with that host already exists.")
        if any(r["name"] == body["name"] and r["content"] == body["content"] for r in everything):
            raise Refused(400, 81058, "An identical record already exists.")
        record = {"id": f"{len(everything) + 1:032x}", "zone": zone["id"], "created_on": TIME, "meta": {}, "settings": {}, "tags": [], "comment": None, "proxied": False}
        everything.append(record)
    else:
        record = next((r for r in everything if r["id"] == number), None)
        if record is None:
            raise Refused(404, 81044, "Record does not exist.")
    record.update(body, proxiable=not ipaddress.IPv4Address(body["content"]).is_private, modified_on=TIME)
    save("records", everything)
    return envelope({k: v for k, v in record.items() if k != "zone"})


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        note = {"method": self.command, "path": url.path, "query": query, "body": None, "wrong": None}
        headers, fail = {}, load("fail", None)
        if os.path.exists(path_of("hold")):
            open(path_of("held"), "w").close()
        while os.path.exists(path_of("hold")):
            time.sleep(0.005)
        try:
            self.authorize()
            if raw:
                want(self.headers.get("Content-Type") == "application/json", "Content-Type")
                note["body"] = json.loads(raw)
            if fail is not None:
                status, answer = fail["status"], fail.get("raw", failure(fail.get("code", 1), fail.get("message", "no")))
                if "retry_after" in fail:
                    headers["Retry-After"] = fail["retry_after"]
                fail["times"] = fail.get("times", 1) - 1
                save("fail", fail) if fail["times"] > 0 else os.unlink(path_of("fail"))
            else:
                status, answer = 200, self.route(url.path, query, note["body"])
        except (Wrong, ValueError) as error:
            note["wrong"] = str(error)
            status, answer = 400, failure(6003, f"Invalid request: {error}")
        except Refused as error:
            status, answer = error.args[0], failure(*error.args[1:])
        note["status"] = status
        with open(path_of("log"), "a") as f:
            f.write(json.dumps(note) + "\n")
        self.answer(status, answer, headers)

    def authorize(self):
        given = self.headers.get("Authorization", "")
        want(re.fullmatch(r"Bearer [A-Za-z0-9._~+/=-]+", given), "Authorization")
        if given != f"Bearer {TOKEN}":
            raise Refused(403, 10000, "Authentication error")

    def route(self, path, query, body):
        parts = path.removeprefix(BASE + "/").split("/")
        want(path.startswith(BASE + "/") and parts[0] == "zones", "path")
        if len(parts) == 1:
            want(self.command == "GET" and body is None, "method")
            return zones(query)
        zone = next((z for z in load("zones", []) if z["id"] == parts[1]), None)
        if zone is None:
            raise Refused(404, 7003, f"Could not route to {path}, perhaps your object identifier is invalid?")
        want(parts[2:3] == ["dns_records"] and len(parts) <= 4, "path")
        if self.command == "GET" and len(parts) == 3:
            return records(zone["id"], query)
        want(not query, "query")
        want(self.command == ("POST" if len(parts) == 3 else "PATCH"), "method")
        return write(zone, parts[3] if len(parts) == 4 else None, body)

    def answer(self, status, answer, headers):
        text = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def log_message(self, *args):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
save("port", server.server_port)
server.serve_forever()
