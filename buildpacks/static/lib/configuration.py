"""Prints the nginx configuration of a static site.

Reads static.json as Heroku's static buildpack does. A request is answered, in this order, by a redirect to HTTPS or to the one
host, a file, a redirect, a route, the error page. What would not be a plain value in nginx's own language is refused, and so is
what would be expected to protect something and is not here.
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
  gzip_comp_level 6;
  gzip_min_length 1024;
  gzip_proxied any;
  gzip_static on;
  gzip_vary on;
  gzip_types text/plain text/css text/javascript text/xml application/javascript application/json application/manifest+json
    application/wasm application/xml application/xhtml+xml application/rss+xml application/atom+xml image/svg+xml font/ttf;
  client_body_temp_path /tmp/nginx-body;
  proxy_temp_path /tmp/nginx-proxy;
  fastcgi_temp_path /tmp/nginx-fastcgi;
  uwsgi_temp_path /tmp/nginx-uwsgi;
  scgi_temp_path /tmp/nginx-scgi;
  # What was asked for; nginx's own $uri is what was found.
  map $request_uri $asked {{ "~^(?<asked_path>[^?]*)" $asked_path; }}
{maps}
  server {{
    listen __PORT__;
    root {root};
    index index.html;
    charset {encoding};
    absolute_redirect off;
    location ~ /\\.(?!well-known/) {{ return 404; }}
    location ~ ^/(static\\.json|Procfile)$ {{ return 404; }}
{rules}
  }}
}}
"""

READ = {"root", "clean_urls", "https_only", "error_page", "routes", "redirects", "headers", "canonical_host", "encoding"}
# They say how much is logged, and how many connections there may be.
WITHOUT_EFFECT = {"debug", "logging", "worker_connections"}
REFUSED = {
    "proxies": "a site cannot pass requests on to another app here. Let the browser ask the other app, with CORS, or serve the "
    "files by an app that does both",
    "basic_auth": "a site cannot ask for a password here, and would be open to everybody. Serve it by an app that asks for one",
}
STATUSES = (301, 302, 303, 307, 308)
# On an answer that is none they would outlive the mistake.
NOT_FOR_ERRORS = ("cache-control", "expires")


def stop(what):
    sys.exit(f" !     static.json: {what}")


def plain(text, what):
    """A value that cannot end a word of nginx's language, nor start a variable."""
    if not isinstance(text, str) or not re.fullmatch(r"[\w./:?&=%+,@~*-][\w./:?&=%+,@~*#-]*", text) or ".." in text:
        stop(f"{what} has a value that is not allowed: {text!r}")
    return text


def quoted(text, what):
    if not isinstance(text, str) or re.search(r'["\\$\n\r\0]', text):
        stop(f"{what} has a value that is not allowed: {text!r}")
    return f'"{text}"'


def section(site, name):
    value = site.get(name, {})
    if not isinstance(value, dict):
        stop(f"{name} is not an object")
    return value.items()


def glob(pattern):
    """`/**` and `/api/*` as a regular expression: `**` crosses slashes."""
    parts = re.split(r"(\*\*|\*)", "/" + plain(pattern, "a path").lstrip("/"))
    stars = {"**": ".*", "*": "[^/]*"}
    return "".join(stars.get(part, re.escape(part)) for part in parts)


def route(pattern, target):
    """The expression of a route, and the file that answers it; `except` names paths that it does not mean."""
    if not isinstance(target, dict):
        return f"^{glob(pattern)}$", target
    excepted = target.get("except", [])
    excepted = [excepted] if isinstance(excepted, str) else excepted
    return "^" + "".join(f"(?!{glob(path)})" for path in excepted) + f"{glob(pattern)}$", target["path"]


def existing(root, file, what):
    """The address of a file of the site: nginx would look for one that is not there again and again."""
    address = "/" + plain(file, what).lstrip("/")
    if not os.path.isfile(root + address):
        stop(f"{what} names {file}, which is not in {root}")
    return address


def maps(site):
    """One variable for each header that is set anywhere; an empty one sends nothing. The last pattern that fits wins."""
    headers = {}
    for pattern, values in section(site, "headers"):
        for name, value in values.items():
            if not re.fullmatch(r"[A-Za-z0-9-]+", name):
                stop(f"a header has a name that is not allowed: {name!r}")
            headers.setdefault(name, []).append((glob(pattern), quoted(value, name)))
    for number, (name, patterns) in enumerate(headers.items()):
        lines = [f'"~^{pattern}$" {value};' for pattern, value in reversed(patterns)]
        always = "" if name.lower() in NOT_FOR_ERRORS else " always"
        yield f'map $asked $header_{number} {{ default ""; {" ".join(lines)} }}', f"add_header {name} $header_{number}{always};"


def rules(site, root):
    if site.get("https_only"):
        yield "if ($http_x_forwarded_proto != https) { return 301 https://$host$request_uri; }"
    if "canonical_host" in site:
        # nginx compares with a name in lower case that has no port.
        host = plain(site["canonical_host"], "canonical_host").lower()
        if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*", host):
            stop(f"canonical_host is a host's name, without a scheme and a port, and not {host!r}")
        yield f"if ($host != {host}) {{ return 301 $http_x_forwarded_proto://{host}$request_uri; }}"
    # A folder without an index is nothing to see.
    missing = existing(root, site["error_page"], "error_page") if "error_page" in site else "@missing"
    yield f"error_page 403 =404 {missing};"
    if "error_page" in site:
        yield f"error_page 404 500 {missing};"
    yield "location @missing { return 404; }"
    files = "try_files $uri $uri.html" if site.get("clean_urls") else "try_files $uri"
    for number, (path, target) in enumerate(section(site, "redirects")):
        status = target.get("status", 301)
        if status not in STATUSES:
            stop(f"the status of a redirect is one of {', '.join(map(str, STATUSES))}, not {status!r}")
        yield f'location ~ "^{glob(path.rstrip("/") or "/")}/?$" {{ {files} $uri/index.html @redirect_{number}; }}'
        yield f'location @redirect_{number} {{ return {status} {plain(target["url"], "a redirect")}; }}'
    for pattern, target in section(site, "routes"):
        expression, file = route(pattern, target)
        yield f'location ~ "{expression}" {{ {files} $uri/index.html {existing(root, file, "a route")}; }}'
    yield f"location / {{ {files} $uri/ =404; }}"


def read(folder):
    path = os.path.join(folder, "static.json")
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        site = json.load(file)
    if not isinstance(site, dict):
        stop("it is not an object")
    for name in site:
        if name in REFUSED and site[name]:
            stop(f"{name}: {REFUSED[name]}")
        if name not in READ | WITHOUT_EFFECT | set(REFUSED):
            stop(f"{name} is not known here. What is: {', '.join(sorted(READ))}")
    return site


def default_root(folder):
    for name in ("public_html", "public"):
        if os.path.exists(os.path.join(folder, name, "index.html")):
            return name
    return "."


def leave_out_links(root):
    """What a link inside the site leads to is no part of it, unless it is in the site itself."""
    real = os.path.realpath(root)
    for folder, folders, files in os.walk(root):
        # Nobody is served what is in them: their links are those of tools.
        folders[:] = [name for name in folders if not name.startswith(".") or name == ".well-known"]
        for name in folders + files:
            path = os.path.join(folder, name)
            if os.path.islink(path) and os.path.commonpath([real, os.path.realpath(path)]) != real:
                print(f" !     {os.path.relpath(path, root)} was left out: the link leads out of the site", file=sys.stderr)
                os.unlink(path)


def main(folder):
    site = read(folder)
    inside = plain(site["root"], "root") if "root" in site else default_root(folder)
    root = os.path.normpath(os.path.join(folder, inside.strip("/")))
    if not os.path.isdir(root):
        stop(f"there is no folder {inside}")
    leave_out_links(root)
    headers = list(maps(site))
    lines = [line for _, line in headers] + list(rules(site, root))
    print(
        TEMPLATE.format(
            root=root,
            encoding=plain(site.get("encoding", "utf-8"), "encoding"),
            maps="\n".join("  " + line for line, _ in headers),
            rules="\n".join("    " + line for line in lines),
        ),
        end="",
    )


try:
    main(sys.argv[1])
except (ValueError, TypeError, KeyError, AttributeError) as error:
    stop(f"it cannot be read: {error}")
