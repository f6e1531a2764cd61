#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# A Python server (standard library only) on the Unix socket of its worktree. In the worktree:
#   devmesh run -- python3 app.py
# or: devmesh up && eval "$(devmesh env)" && python3 app.py
import http.server
import os
import signal
import socket
import socketserver
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{self.path} in {os.getcwd()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "caddy"  # the peer of a Unix socket has no address to log


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self):
        # A file left by a server that was killed refuses connections, and goes. If somebody
        # answers, the file is theirs.
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(self.server_address)
                sys.exit(f"{self.server_address}: another server listens already")
            except ConnectionRefusedError:
                os.unlink(self.server_address)
            except FileNotFoundError:
                pass
        super().server_bind()
        # Caddy may run as another user: it has to write to the socket
        os.chmod(self.server_address, 0o666)


def main():
    path = os.environ.get("DEVMESH_SOCKET")
    if not path:
        sys.exit('DEVMESH_SOCKET is not set: eval "$(devmesh env)"')
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Server(path, Handler) as server:
        print(f"listening for {os.environ.get('DEVMESH_URL')}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass
        finally:
            os.unlink(path)


main()
