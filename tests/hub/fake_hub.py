"""A server that speaks as the Hugging Face hub does, and one on another port that stands for its content network.

Written from what huggingface_hub asks and expects. Large files (Git LFS) are named by their SHA-256 and redirected to the other
server; small ones by git's name for the blob. It keeps every request, and faults can be put before the right answers.
"""
import collections
import hashlib
import http.server
import json
import re
import socket
import threading
import urllib.parse

COMMIT = "4" * 40


def git_name(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def is_large(path):
    return path.endswith((".safetensors", ".bin", ".ckpt"))


def name_of(path, content):
    return sha256(content) if is_large(path) else git_name(content)


Seen = collections.namedtuple("Seen", "server path headers")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_): pass

    def do_GET(self):
        hub, path = self.server.hub, urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        with hub.lock:
            hub.seen.append(Seen(self.server.name, self.path, dict(self.headers)))
            fault = next((faults.pop(0) for pattern, faults in hub.faults.items()
                          if faults and re.search(pattern, self.server.name + path)), None)
        try:
            if fault: fault(self)
            elif self.server.name == "cdn": self.content(hub.blobs[path.strip("/")])
            else: self.answer_of_hub(hub, path)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def answer_of_hub(self, hub, path):
        if path.startswith(f"/api/models/{hub.model}/revision/"):
            if path.rsplit("/revision/", 1)[1] not in hub.revisions: return self.refuse(404, "RevisionNotFound")
            return self.reply(200, json.dumps(hub.listing()).encode(), {"Content-Type": "application/json"})
        prefix = f"/{hub.model}/resolve/{COMMIT}/"
        if not path.startswith(prefix): return self.refuse(401, "RepoNotFound")
        name = path[len(prefix):]
        if name not in hub.files: return self.refuse(404, "EntryNotFound")
        content = hub.files[name]
        head = {"X-Repo-Commit": COMMIT, "ETag": f'"{name_of(name, content)}"'}
        if not is_large(name): return self.content(content, head)
        head |= {"X-Linked-Etag": f'"{sha256(content)}"', "X-Linked-Size": str(len(content)),
                 "Location": f"{hub.cdn_url}/{sha256(content)}?signature=x"}
        self.reply(302, b"Found", head)

    def refuse(self, status, code):
        self.reply(status, b'{"error":"..."}', {"X-Error-Code": code, "X-Error-Message": "not for " + str(self.headers["Authorization"])})

    def content(self, content, head=()):
        begin = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if not begin: return self.reply(200, content, dict(head))
        begin = int(begin[1])
        if begin >= len(content): return self.reply(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        self.reply(206, content[begin:], dict(head) | {"Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"})

    def reply(self, status, body, head, length=None):
        self.send_response(status)
        for name, value in head.items(): self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def cut(self):
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_): pass  # clients leave when they have read enough


class FakeHub:
    def __init__(self, files, model="org/name"):
        self.model, self.files, self.revisions = model, dict(files), {"main", COMMIT, "refs/pr/1"}
        self.blobs = {sha256(content): content for path, content in files.items() if is_large(path)}
        self.seen, self.faults, self.lock = [], collections.defaultdict(list), threading.Lock()
        self.changed = lambda listing: listing
        self.servers = [self.serve(name) for name in ("hub", "cdn")]
        self.url, self.cdn_url = (f"http://127.0.0.1:{server.server_port}" for server in self.servers)

    def serve(self, name):
        server = Server(("127.0.0.1", 0), Handler)
        server.name, server.hub, server.daemon_threads = name, self, True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

    def listing(self):
        siblings = []
        for path, content in self.files.items():
            entry = {"rfilename": path, "size": len(content), "blobId": git_name(content)}
            if is_large(path): entry["lfs"] = {"sha256": sha256(content), "size": len(content), "pointerSize": 134}
            siblings.append(entry)
        return self.changed({"id": self.model, "sha": COMMIT, "siblings": siblings})

    def fault(self, pattern, *faults):
        """These answers, one after the other, to requests whose server and path ("cdn/...") match the pattern."""
        self.faults[pattern] += faults

    def asked(self, server, part=""):
        return [seen for seen in self.seen if seen.server == server and part in seen.path]

    def close(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()
