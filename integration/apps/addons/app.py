"""Counts visits wherever it has somewhere to count: /visit counts, everything else only looks."""

import os
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


def database(visits):
    url = os.environ.get("DATABASE_URL") or os.environ.get("SHARED_URL")
    if not url:
        return "none"
    import pg8000.native

    parts = urlsplit(url)
    # Encrypted, by a certificate that the server made itself.
    encrypted = ssl.create_default_context()
    encrypted.check_hostname = False
    encrypted.verify_mode = ssl.CERT_NONE
    connection = pg8000.native.Connection(
        parts.username, password=parts.password, host=parts.hostname, port=parts.port,
        database=parts.path[1:], timeout=5, ssl_context=encrypted,
    )
    try:
        connection.run("create table if not exists visits (at timestamptz default now())")
        if visits:
            connection.run("insert into visits default values")
        return connection.run("select count(*) from visits")[0][0]
    finally:
        connection.close()


def cache(visits):
    url = os.environ.get("REDIS_URL")
    if not url:
        return "none"
    import redis

    client = redis.from_url(url, socket_timeout=5)
    return client.incr("visits") if visits else int(client.get("visits") or 0)


def memory(visits):
    servers = os.environ.get("MEMCACHIER_SERVERS")
    if not servers:
        return "none"
    import bmemcached

    client = bmemcached.Client(
        servers.split(","), os.environ["MEMCACHIER_USERNAME"], os.environ["MEMCACHIER_PASSWORD"], socket_timeout=5
    )
    try:
        if visits:
            client.set("visits", int(client.get("visits") or 0) + 1)
        return int(client.get("visits") or 0)
    finally:
        client.disconnect_all()


def rows(visits):
    url = os.environ.get("JAWSDB_URL")
    if not url:
        return "none"
    import pymysql

    parts = urlsplit(url)
    connection = pymysql.connect(
        host=parts.hostname, port=parts.port, user=parts.username, password=parts.password, database=parts.path[1:],
        connect_timeout=5, autocommit=True,
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute("create table if not exists visits (id integer auto_increment primary key)")
            if visits:
                cursor.execute("insert into visits values ()")
            cursor.execute("select count(*) from visits")
            return cursor.fetchone()[0]
    finally:
        connection.close()


def queue(visits):
    url = os.environ.get("CLOUDAMQP_URL")
    if not url:
        return "none"
    import pika

    parameters = pika.URLParameters(url)
    parameters.socket_timeout = parameters.blocked_connection_timeout = 5
    connection = pika.BlockingConnection(parameters)
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("visits", durable=True)
        if visits:
            channel.basic_publish("", "visits", b"a visit", pika.BasicProperties(delivery_mode=2))
        return channel.queue_declare("visits", passive=True).method.message_count
    finally:
        connection.close()


def told(count, visits):
    try:
        return str(count(visits))
    except Exception as error:
        return type(error).__name__


class Handler(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()

    def do_GET(self):
        visits = self.path == "/visit"
        body = " ".join(told(count, visits) for count in (database, cache, memory, rows, queue)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
