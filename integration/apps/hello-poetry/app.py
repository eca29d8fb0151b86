"""Says hello, and which dyno of which release says it."""

import os


def app(environ, start_response):
    dyno = os.environ.get("DYNO", "a laptop")
    greeting = os.environ.get("GREETING", "Hello")
    body = f"{greeting} from {dyno}\n".encode()
    print(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}", flush=True)
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]
