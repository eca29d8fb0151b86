"""An app for stories: nothing to install, and it does what its visitor asks for.

/            GREETING and TEXT, so that config and code can both be told from outside
/env?NAME    one environment variable
/dyno        the dyno that answered
/slow?2.5    answers after that many seconds
/exit?3      answers, then ends with that code
/socket      a WebSocket that sends back what it gets (RFC 6455), short messages only
"""

import base64
import hashlib
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEXT = "one"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/socket":
            return self.echo()
        if path == "/env":
            body = os.environ.get(query, "(not set)")
        elif path == "/dyno":
            body = os.environ["DYNO"]
        else:
            body = f"{os.environ.get('GREETING', 'hello')} {TEXT}"
        if path == "/slow":
            time.sleep(float(query))
        print(f"{self.command} {self.path}", flush=True)
        data = body.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        if path == "/exit":
            self.wfile.flush()
            threading.Timer(0.1, os._exit, [int(query)]).start()

    def echo(self):
        self.close_connection = True
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        while head := self.rfile.read(2):
            length = head[1] & 0x7F
            mask, data = self.rfile.read(4), self.rfile.read(length)
            self.wfile.write(bytes([head[0], length]) + bytes(byte ^ mask[n % 4] for n, byte in enumerate(data)))

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 1024


print(f"listening, text {TEXT}", flush=True)
Server(("", int(os.environ["PORT"])), Handler).serve_forever()
