"""An app for stories: nothing to install, and it does what its visitor asks for.

/            GREETING and TEXT, so that config and code can both be told from outside
/env?NAME    one environment variable
/dyno        the dyno that answered
/slow?2.5    answers after that many seconds
/exit?3      answers, then ends with that code
"""

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

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 1024


print(f"listening, text {TEXT}", flush=True)
Server(("", int(os.environ["PORT"])), Handler).serve_forever()
