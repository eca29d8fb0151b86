"""Prints the nginx configuration of a static site.

Reads static.json: root, clean_urls, https_only, error_page, routes, redirects, headers. Whatever would not be a plain
value in nginx's own language is refused.
"""

import json
import os
import re
import sys

TEMPLATE = """\
daemon off;
worker_processes 1;
pid /tmp/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  access_log off;
  server_tokens off;
  sendfile on;
  gzip on;
  gzip_proxied any;
  gzip_types text/plain text/css application/javascript application/json image/svg+xml application/xml;
  client_body_temp_path /tmp/nginx-body;
  proxy_temp_path /tmp/nginx-proxy;
  fastcgi_temp_path /tmp/nginx-fastcgi;
  uwsgi_temp_path /tmp/nginx-uwsgi;
  scgi_temp_path /tmp/nginx-scgi;
  server {{
    listen __PORT__;
    root {root};
    index index.html;
    charset utf-8;
    absolute_redirect off;
    location ~ /\\.(?!well-known/) {{ return 404; }}
    location ~ ^/(static\\.json|Procfile)$ {{ return 404; }}
{rules}
  }}
}}
"""


def stop(what):
    sys.exit(f" !     static.json: {what}")


def plain(text, what):
    """A value that cannot end a word of nginx's language, nor start a variable."""
    if not isinstance(text, str) or not re.fullmatch(r"[\w./:?&=%+,@~*-]+", text) or ".." in text:
        stop(f"{what} has a value that is not allowed: {text!r}")
    return text


def quoted(text, what):
    if not isinstance(text, str) or re.search(r'["\\$\n\r]', text):
        stop(f"{what} has a value that is not allowed: {text!r}")
    return f'"{text}"'


def location(pattern):
    """`/**` and `/api/*` as a regular expression: `**` crosses slashes."""
    parts = re.split(r"(\*\*|\*)", plain(pattern, "a path"))
    stars = {"**": ".*", "*": "[^/]*"}
    return "^" + "".join(stars.get(part, re.escape(part)) for part in parts) + "$"


def rules(site):
    if site.get("https_only"):
        yield "if ($http_x_forwarded_proto != https) { return 301 https://$host$request_uri; }"
    if "error_page" in site:
        yield f"error_page 404 /{plain(site['error_page'], 'error_page').lstrip('/')};"
    for path, headers in site.get("headers", {}).items():
        names = [f"add_header {plain(name, 'a header')} {quoted(value, name)};" for name, value in headers.items()]
        yield f'location ~ "{location(path)}" {{ {" ".join(names)} {tries(site)} }}'
    for path, target in site.get("redirects", {}).items():
        status = int(target.get("status", 301))
        yield f'location ~ "{location(path)}" {{ return {status} {plain(target["url"], "a redirect")}; }}'
    for path, target in site.get("routes", {}).items():
        yield f'location ~ "{location(path)}" {{ try_files $uri $uri/ /{plain(target, "a route").lstrip("/")}; }}'
    yield f"location / {{ {tries(site)} }}"


def tries(site):
    html = "$uri.html " if site.get("clean_urls") else ""
    return f"try_files $uri {html}$uri/ =404;"


def default_root(folder):
    for name in ("public_html", "public"):
        if os.path.exists(os.path.join(folder, name, "index.html")):
            return name
    return "."


def main(folder):
    site = {}
    path = os.path.join(folder, "static.json")
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            site = json.load(file)
        if not isinstance(site, dict):
            stop("it is not an object")
    inside = plain(site["root"], "root") if "root" in site else default_root(folder)
    if not os.path.isdir(os.path.join(folder, inside)):
        stop(f"there is no folder {inside}")
    root = os.path.normpath(os.path.join("/app", inside.lstrip("/")))
    print(TEMPLATE.format(root=root, rules="\n".join("    " + rule for rule in rules(site))), end="")


try:
    main(sys.argv[1])
except (ValueError, TypeError, KeyError, AttributeError) as error:
    stop(f"it cannot be read: {error}")
