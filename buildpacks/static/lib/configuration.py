"""Prints the nginx configuration of a static site.

usage: configuration.py build FOLDER ENV_DIR    to see whether it makes one
       configuration.py serve FOLDER            with the config vars of now

Reads static.json as Heroku's static buildpack does. A request is answered, in this order, by a redirect to HTTPS or to the one
host, a question for the password, a file, another app, a redirect, a route, the error page. What would not be a plain value in
nginx's own language is refused.
"""

import base64
import hashlib
import json
import os
import re
import sys
from urllib.parse import urlsplit

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
  proxy_http_version 1.1;
  proxy_ssl_server_name on;
  proxy_ssl_verify on;
  proxy_ssl_verify_depth 4;
  proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;
  # What was asked for; nginx's own $uri is what was found.
  map $request_uri $asked {{ "~^(?<asked_path>[^?]*)" $asked_path; }}
{maps}
  server {{
    listen {port};
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

READ = {
    *("root", "clean_urls", "https_only", "error_page", "routes", "redirects", "headers", "canonical_host", "encoding"),
    *("proxies", "basic_auth", "basic_auth_htpasswd_path"),
}
# They say how much is logged, and how many connections there may be.
WITHOUT_EFFECT = {"debug", "logging", "worker_connections"}
STATUSES = (301, 302, 303, 307, 308)
# On an answer that is none they would outlive the mistake.
NOT_FOR_ERRORS = ("cache-control", "expires")


# Where nothing is known yet of what a config var will be.
UNSET = "unset.invalid"
PASSWORDS = "/tmp/.htpasswd"
# What crypt(3) and nginx take for a hash of a password, and what `openssl passwd` made by itself until 2018.
HASHED = re.compile(r"[${].*|[./0-9A-Za-z]{13}")


def stop(what):
    sys.exit(f" !     static.json: {what}")


def warn(what):
    print(f" !     static.json: {what}", file=sys.stderr)


class ConfigVars:
    """What `${NAME}` means. At a build a var may not be there yet; a site that starts without it would do something else."""

    def __init__(self, folder=None):
        self.folder = folder

    def get(self, name):
        if self.folder is None:
            return os.environ.get(name)
        try:
            with open(os.path.join(self.folder, name), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return None

    @property
    def may_come(self):
        return self.folder is not None

    def lack(self, what):
        """Tells a build, and ends a start."""
        (warn if self.may_come else stop)(what)

    def fill(self, text, what):
        """The text with its vars; `None` where one of them is to come."""
        if not isinstance(text, str):
            stop(f"{what} has a value that is not allowed: {text!r}")
        for name in re.findall(r"\$\{(\w+)\}", text):
            value = self.get(name)
            if value is None:
                self.lack(f"{what} needs {name}. Set it: paas config:set {name}=...")
                return None
            text = text.replace(f"${{{name}}}", value)
        return text


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


def salted(password):
    """As nginx reads it; by itself a password would end at its first colon."""
    salt = os.urandom(16)
    digest = hashlib.sha1(password.encode() + salt, usedforsecurity=False).digest()
    return "{SSHA}" + base64.b64encode(digest + salt).decode()


def passwords(site, config):
    """The file that says who may see the site: made of config vars, or the app's own."""
    name, password = config.get("BASIC_AUTH_USERNAME"), config.get("BASIC_AUTH_PASSWORD")
    if name is not None and password is not None:
        if not name or not password or re.search(r"[:\n\r]", name) or re.search(r"[\n\r]", password):
            stop("basic_auth: BASIC_AUTH_USERNAME is a name without a colon, and BASIC_AUTH_PASSWORD one line")
        hashed = password if HASHED.fullmatch(password) else salted(password)
        with open(PASSWORDS, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(f"{name}:{hashed}\n")
        return PASSWORDS
    path = plain(site.get("basic_auth_htpasswd_path", "/app/.htpasswd"), "basic_auth_htpasswd_path")
    if not os.path.isfile(path):
        config.lack(
            f"basic_auth: there is no {path}, and nobody would get in. Set BASIC_AUTH_USERNAME and BASIC_AUTH_PASSWORD: paas config:set"
        )
    return path


def origin(target, what, config):
    """Scheme and host of another app, and the path below which it is asked."""
    url = config.fill(target["origin"], what)
    if url is None:
        return f"http://{UNSET}", ""
    parts = urlsplit(url)
    is_host = re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?", parts.netloc)
    if parts.scheme not in ("http", "https") or not is_host or parts.query or parts.fragment:
        # Not what it is: a config var may hold a secret, and logs are kept.
        stop(f"{what} is an address such as https://api.example.com/v1/, without a user, a password and a query")
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}", plain(path, what) if path else ""


def nameservers():
    with open("/etc/resolv.conf", encoding="utf-8") as file:
        found = re.findall(r"^nameserver\s+([0-9.]+|[0-9a-fA-F:]+)\s*$", file.read(), re.MULTILINE)
    return " ".join(f"[{address}]" if ":" in address else address for address in found)


def proxies(site, files, config):
    """Other apps that answer for what is no file; the longest path that fits wins. Their names are looked up while they serve."""
    found = sorted(section(site, "proxies"), key=lambda proxy: len(proxy[0]), reverse=True)
    if found:
        # How much a request may bring, the other app says.
        yield f"resolver {nameservers()} ipv6=off; client_max_body_size 0;"
    for number, (path, target) in enumerate(found):
        below = "/" + plain(path, "a path of proxies").strip("/")
        host, base = origin(target, f"proxies: {path}", config)
        expression = re.escape(below.rstrip("/"))
        yield f'location ~ "^{expression}/" {{ {files} $uri/index.html @proxy_{number}; }}'
        yield f"location @proxy_{number} {{"
        yield f'  set $origin_{number} "{host}";'
        yield f'  rewrite "^{expression}/(.*)$" "{base}/$1" break;'
        yield f"  proxy_pass $origin_{number};"
        for scheme in ("http", "https"):
            yield f'  proxy_redirect "{scheme}://{host.split("://")[1]}{base}/" "{below.rstrip("/")}/";'
        yield "}"


def rules(site, root, config):
    if site.get("https_only"):
        yield "if ($http_x_forwarded_proto != https) { return 301 https://$host$request_uri; }"
    if "canonical_host" in site:
        # nginx compares with a name in lower case that has no port.
        host = plain(config.fill(site["canonical_host"], "canonical_host") or UNSET, "canonical_host").lower()
        if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*", host):
            stop(f"canonical_host is a host's name, without a scheme and a port, and not {host!r}")
        yield f"if ($host != {host}) {{ return 301 $http_x_forwarded_proto://{host}$request_uri; }}"
    if site.get("basic_auth") or config.get("BASIC_AUTH_USERNAME") is not None:
        yield f'auth_basic "Restricted"; auth_basic_user_file {passwords(site, config)};'
    # A folder without an index is nothing to see.
    missing = existing(root, site["error_page"], "error_page") if "error_page" in site else "@missing"
    yield f"error_page 403 =404 {missing};"
    if "error_page" in site:
        yield f"error_page 404 500 {missing};"
    yield "location @missing { return 404; }"
    files = "try_files $uri $uri.html" if site.get("clean_urls") else "try_files $uri"
    yield from proxies(site, files, config)
    for number, (path, target) in enumerate(section(site, "redirects")):
        status = target.get("status", 301)
        if status not in STATUSES:
            stop(f"the status of a redirect is one of {', '.join(map(str, STATUSES))}, not {status!r}")
        yield f'location ~ "^{glob(path.rstrip("/") or "/")}/?$" {{ {files} $uri/index.html @redirect_{number}; }}'
        yield f'location @redirect_{number} {{ return {status} {plain(config.fill(target["url"], "a redirect") or "/", "a redirect")}; }}'
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
        if name not in READ | WITHOUT_EFFECT:
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


def main(phase, folder, env_dir=None):
    config = ConfigVars(env_dir)
    site = read(folder)
    inside = plain(site["root"], "root") if "root" in site else default_root(folder)
    root = os.path.normpath(os.path.join(folder, inside.strip("/")))
    if not os.path.isdir(root):
        stop(f"there is no folder {inside}")
    if phase == "build":
        leave_out_links(root)
    port = config.get("PORT") or "5000"
    if not re.fullmatch(r"[0-9]{1,5}", port):
        stop(f"PORT is a number, and not {port!r}")
    headers = list(maps(site))
    lines = [line for _, line in headers] + list(rules(site, root, config))
    print(
        TEMPLATE.format(
            root=root,
            port=port,
            encoding=plain(site.get("encoding", "utf-8"), "encoding"),
            maps="\n".join("  " + line for line, _ in headers),
            rules="\n".join("    " + line for line in lines),
        ),
        end="",
    )


try:
    main(*sys.argv[1:])
except (ValueError, TypeError, KeyError, AttributeError) as error:
    stop(f"it cannot be read: {error}")
