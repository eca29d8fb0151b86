"""Receives webhooks as docs/webhooks.md shows it, and says what came: STATUS ENTITY ACTION WHAT.

Arguments: the secret, and the path of a file: while it exists, every notification is answered 503.
"""

import base64, hashlib, hmac, json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

SECRET, CLOSED = sys.argv[1:]


def is_genuine(body, signature):
    expected = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest())
    return hmac.compare_digest(expected, signature.encode())


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = 503 if os.path.exists(CLOSED) else 204
        if not is_genuine(body, self.headers["Heroku-Webhook-Hmac-SHA256"]):
            status = 403
        told = json.loads(body)
        data = told["data"]
        what = data.get("description") or data.get("name") or data.get("status") or ""
        state = data.get("state") or ""
        print(status, told["webhook_metadata"]["event"]["include"], told["action"], what, state, flush=True)
        self.send_response(status)
        self.end_headers()

    def log_message(self, *arguments):
        pass


server = HTTPServer(("127.0.0.1", 0), Receiver)
print("listening on", server.server_port, flush=True)
server.serve_forever()
