"""Whether the database lets somebody in with the address in the environment."""

import os
import ssl
import sys
from urllib.parse import urlsplit

import pg8000.native

parts = urlsplit(os.environ["DATABASE_URL"])
encrypted = ssl.create_default_context()
encrypted.check_hostname = False
encrypted.verify_mode = ssl.CERT_NONE
try:
    pg8000.native.Connection(
        parts.username, password=parts.password, host=parts.hostname, port=parts.port, database=parts.path[1:],
        ssl_context=encrypted,
    )
except pg8000.exceptions.DatabaseError:
    sys.exit(3)
