#!/usr/bin/env python3
"""A small and strict stand-in for an object store, for test/tap/045_archive_push.pl: what of the S3
protocol `auditchain archive push` uses, in memory, with nothing but Python. It trusts no client: it
computes each signature (AWS Signature Version 4) and each checksum itself, and keeps Object Lock.

    store.py DIRECTORY [CERTIFICATE_AND_KEY]

listens on a free port of 127.0.0.1 and writes its number to DIRECTORY/port. It has the buckets `worm`,
which was created with Object Lock, and `plain`; the credentials are those below. A line METHOD FAULT in
DIRECTORY/faults is used up by the next request with this method. DIRECTORY/requests is a log.
"""
import base64
import datetime
import hashlib
import hmac
import http.server
import os
import re
import ssl
import sys
import time
import urllib.parse

CREDENTIALS = {"AKIDEXAMPLE": ("secret/of+the=test", None), "ASIAEXAMPLE": ("secret/of+the=session", "to/ken+==")}
REGION = "us-east-1"
BUCKETS = {"worm": True, "plain": False}  # whether they have Object Lock

directory = sys.argv[1]
versions = {}  # (bucket, key): [version], the newest last


class Version:
    def __init__(self, number, content):
        self.id, self.content, self.checksum, self.mode, self.until = f"v{number}", content, None, None, None


class Refusal(Exception):
    def __init__(self, status, code, message=""):
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


def utc(text):
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        raise Refusal(400, "InvalidArgument", f"{text} is no time")


def next_fault(method):
    try:
        with open(f"{directory}/faults") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return None
    for line in lines:
        if line.split()[0] == method:
            lines.remove(line)
            with open(f"{directory}/faults", "w") as file:
                file.write("".join(line + "\n" for line in lines))
            return line.split()[1]
    return None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *_):
        pass

    # What AWS calls "Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk".
    def check_signature(self):
        match = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, "
                             r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})", self.headers["authorization"] or "")
        if not match:
            raise Refusal(403, "AccessDenied", "no signature")
        who, day, region, names, signature = match.groups()
        if who not in CREDENTIALS:
            raise Refusal(403, "InvalidAccessKeyId")
        secret, token = CREDENTIALS[who]
        if self.headers["x-amz-security-token"] != token:
            raise Refusal(403, "InvalidToken")
        if region != REGION:
            raise Refusal(400, "AuthorizationHeaderMalformed", f"the region is {REGION}")
        when = self.headers["x-amz-date"]
        signed = names.split(";")
        if signed != sorted(set(signed)) or "host" not in signed:
            raise Refusal(403, "AccessDenied", "wrong SignedHeaders")
        for name in map(str.lower, self.headers):
            if (name.startswith("x-amz-") or name in ("content-type", "if-none-match")) and name not in signed:
                raise Refusal(403, "AccessDenied", f"{name} was not signed")
        age = time.time() - utc(f"{when[:4]}-{when[4:6]}-{when[6:8]}T{when[9:11]}:{when[11:13]}:{when[13:16]}").timestamp()
        if abs(age) > 900 or when[:8] != day:
            raise Refusal(403, "RequestTimeTooSkewed")
        path, _, query = self.path.partition("?")
        if query and any("=" not in pair for pair in query.split("&")):
            query = "&".join(pair if "=" in pair else pair + "=" for pair in query.split("&"))
        canonical = "\n".join(
            [self.command, path, "&".join(sorted(query.split("&"))),
             *(f"{name}:{' '.join(','.join(self.headers.get_all(name)).split())}" for name in signed),
             "", names, self.headers["x-amz-content-sha256"]])
        scope = f"{day}/{region}/s3/aws4_request"
        key = ("AWS4" + secret).encode()
        for step in (day, region, "s3", "aws4_request"):
            key = hmac.digest(key, step.encode(), "sha256")
        text = f"AWS4-HMAC-SHA256\n{when}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        if not hmac.compare_digest(hmac.new(key, text.encode(), "sha256").hexdigest(), signature):
            raise Refusal(403, "SignatureDoesNotMatch", "The signature &lt;ours&gt; is another")

    def check_body(self, body):
        if self.headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
            raise Refusal(400, "XAmzContentSHA256Mismatch")
        checksum = self.headers["x-amz-checksum-sha256"]
        if checksum and base64.b64decode(checksum) != hashlib.sha256(body).digest():
            raise Refusal(400, "BadDigest")

    def lock(self, version, mode, until):
        if not BUCKETS[self.bucket]:
            raise Refusal(400, "InvalidRequest", "Bucket is missing Object Lock Configuration")
        if not self.headers["x-amz-checksum-sha256"] and not self.headers["content-md5"]:
            raise Refusal(400, "InvalidRequest", "Content-MD5 or a checksum is required")
        until = utc(until)
        if mode not in ("COMPLIANCE", "GOVERNANCE") or until <= datetime.datetime.now(datetime.timezone.utc):
            raise Refusal(400, "InvalidArgument", "no such lock")
        if version.mode == "COMPLIANCE" and (until < version.until or mode != "COMPLIANCE"):
            raise Refusal(403, "AccessDenied", "a lock cannot be shortened")
        version.mode, version.until = mode, until

    def put(self, body, fault):
        there = versions.setdefault((self.bucket, self.key), [])
        if "retention" in self.query:
            version = self.version()
            if fault == "ignore":
                return 200, {}
            self.lock(version, *(re.search(f"<{name}>(.*)</{name}>", body.decode()).group(1)
                                 for name in ("Mode", "RetainUntilDate")))
            return 200, {}
        if self.headers["if-none-match"] == "*" and there and there[-1].content is not None:
            raise Refusal(412, "PreconditionFailed")
        version = Version(len(there), body)
        mode = self.headers["x-amz-object-lock-mode"]
        if mode and fault != "ignore":
            self.lock(version, mode, self.headers["x-amz-object-lock-retain-until-date"])
        if fault == "corrupt":
            version.content = body[:-1] + b"!"
        version.checksum = base64.b64encode(hashlib.sha256(version.content).digest()).decode()
        there.append(version)
        return 200, {"x-amz-version-id": version.id}

    def version(self):
        wanted = self.query.get("versionId")
        for version in reversed(versions.get((self.bucket, self.key), [])):
            if (wanted is None or version.id == wanted):
                if version.content is None:
                    break
                return version
        raise Refusal(404, "NoSuchKey")

    def delete(self):
        there = versions.get((self.bucket, self.key), [])
        if "versionId" not in self.query:
            there.append(Version(len(there), None))
            return 204, {}
        version = self.version()
        if version.mode == "COMPLIANCE" and version.until > datetime.datetime.now(datetime.timezone.utc):
            raise Refusal(403, "AccessDenied", "the object is locked")
        there.remove(version)
        return 204, {}

    def answer(self, status, headers, content=b"", length=None):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def handle_request(self):
        fault = next_fault(self.command)
        path, _, query = self.path.partition("?")
        with open(f"{directory}/requests", "a") as file:
            file.write(f"{self.command} {self.path} {fault or ''}\n")
        size = int(self.headers["content-length"] or 0)
        if fault == "hang":
            time.sleep(4)
        if fault in ("hang", "cut") and self.command != "GET":
            self.rfile.read(size // 2)
            self.close_connection = True
            return
        body = self.rfile.read(size)
        try:
            if fault and fault.isdigit():
                raise Refusal(int(fault), "Injected", "as the test wants it")
            self.check_signature()
            self.check_body(body)
            host = self.headers["host"].split(":")[0]
            if host.endswith(".localhost"):
                path = f"/{host.partition('.')[0]}{path}"
            _, self.bucket, self.key = urllib.parse.unquote(path).split("/", 2)
            self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
            if self.bucket not in BUCKETS:
                raise Refusal(404, "NoSuchBucket")
            if self.command == "PUT":
                result = self.put(body, fault)
                if fault == "lose":
                    self.close_connection = True
                else:
                    self.answer(*result)
            elif self.command == "DELETE":
                self.answer(*self.delete())
            else:
                self.show(self.version(), fault)
        except Refusal as refusal:
            xml = f"<Error><Code>{refusal.code}</Code><Message>{refusal.message}</Message></Error>".encode()
            self.answer(refusal.status, {"Content-Type": "application/xml"}, xml)

    def show(self, version, fault):
        headers = {"x-amz-version-id": version.id}
        if self.headers["x-amz-checksum-mode"] == "ENABLED" and fault != "plain":
            headers["x-amz-checksum-sha256"] = version.checksum
        if version.mode:
            headers["x-amz-object-lock-mode"] = version.mode
            headers["x-amz-object-lock-retain-until-date"] = version.until.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        content = version.content
        if fault == "cut":
            self.close_connection = True
            self.answer(200, headers, content[:1000], len(content))
        else:
            self.answer(200, headers, content, len(content))

    do_GET = do_HEAD = do_PUT = do_DELETE = handle_request


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True)
with open(f"{directory}/port.new", "w") as port:
    port.write(str(server.server_address[1]))
os.rename(f"{directory}/port.new", f"{directory}/port")
server.serve_forever()
