"""Runs the cases of Autobahn's WebSocket fuzzing client against servers, and prints the verdicts as JSON.

    fuzz.py FOLDER CASES URL...

The suite is written in Python 2, which Debian has no more. Its cases take text for bytes. In FOLDER they are turned into
Python 3 that takes bytes for text, in Latin-1: each byte is the character of its number. Where the cases meet the protocol
library, which knows the difference, `Fuzzer` turns one into the other.
"""

import importlib
import json
import os
import re
import shutil
import sys
import warnings
from importlib.metadata import distribution

warnings.simplefilter("ignore")

import txaio  # noqa: E402

txaio.use_twisted()

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol, connectWS  # noqa: E402
from twisted.internet import reactor, ssl  # noqa: E402

# Cases wait for seconds; one after the other they would take minutes.
AT_ONCE = 12
# `binascii` and files, for text that is bytes.
LATIN = """
import binascii

from autobahn.websocket import utf8validator


class Utf8Validator(utf8validator.Utf8Validator):
    def validate(self, text):
        return super().validate(text.encode("latin-1"))


def b2a_hex(text):
    return binascii.b2a_hex(text if isinstance(text, bytes) else text.encode("latin-1")).decode()

def read(path):
    with open(path, "rb") as file:
        return file.read().decode("latin-1")
"""


def convert(folder):
    """Makes a package `case` of the suite's, once."""
    if os.path.exists(os.path.join(folder, "case", "done")):
        return
    from lib2to3.refactor import RefactoringTool, get_fixers_from_package

    source = os.path.join(str(distribution("autobahntestsuite").locate_file("autobahntestsuite")), "case")
    target = os.path.join(folder, "case")
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(target)
    tool = RefactoringTool(get_fixers_from_package("lib2to3.fixes"))
    for name in sorted(os.listdir(source)):
        # Limits and compression, which need more of Python 2, are left out.
        if not re.match(r"case([1-7]|10)?(_\w+)?\.py$", name):
            continue
        # The path tells which imports are the suite's own.
        path = os.path.join(source, name)
        with open(path, encoding="latin-1") as file:
            text = str(tool.refactor_string(file.read() + "\n", path))
        text = re.sub(r"\.encode\((['\"])utf-?8\1\)", r'.encode("utf-8").decode("latin-1")', text, flags=re.I)
        text = re.sub(r"^import binascii$", "from . import latin as binascii", text, flags=re.M)
        text = text.replace("from autobahn.websocket.utf8validator import", "from .latin import")
        text = text.replace("(object, Case, )", "(Case, )").replace(") / self.p", ") // self.p")
        with open(os.path.join(target, name), "w", encoding="utf-8") as file:
            file.write(text)
    open(os.path.join(target, "__init__.py"), "w", encoding="utf-8").close()
    with open(os.path.join(target, "latin.py"), "w", encoding="utf-8") as file:
        file.write(LATIN)
    open(os.path.join(target, "done"), "w", encoding="utf-8").close()


def load(folder, patterns):
    """The classes of the cases, in the order of their names in the suite: 1.1.1."""
    cases = {}
    for name in os.listdir(os.path.join(folder, "case")):
        if not re.match(r"case\d.*\.py$", name):
            continue
        module = importlib.import_module("case." + name[:-3])
        # Some are made in a loop, and kept in a list.
        found = [each for value in vars(module).values() for each in (value if isinstance(value, list) else [value])]
        for each in found:
            if isinstance(each, type) and re.match(r"Case\d", each.__name__):
                cases[".".join(each.__name__[4:].split("_"))] = each
    wanted = [re.compile(pattern.replace(".", r"\.").replace("*", ".*") + "$") for pattern in patterns]
    names = [name for name in cases if any(pattern.match(name) for pattern in wanted)]
    names.sort(key=lambda name: [int(part) for part in name.split(".")])
    return [(name, cases[name]) for name in names]


def to_bytes(text):
    if text is None or isinstance(text, bytes):
        return text
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8")


def to_text(data):
    return data.decode("latin-1") if isinstance(data, bytes) else data


class Fuzzer(WebSocketClientProtocol):
    """What the cases expect of the suite's own protocol."""

    def connectionMade(self):
        self.connectionWasOpen = False
        self.createWirelog = False
        self.txFrameStats = {}
        self.caseAgent = "server"
        self.run = self.factory.case(self)
        super().connectionMade()

    def onOpen(self):
        self.connectionWasOpen = True
        self.run.onOpen()

    def onMessage(self, payload, isBinary):
        self.run.onMessage(to_text(payload), isBinary)

    def onPing(self, payload):
        self.run.onPing(to_text(payload))
        super().sendPong(payload)

    def onPong(self, payload):
        self.run.onPong(to_text(payload))

    def onClose(self, wasClean, code, reason):
        self.run.onClose(wasClean, code, reason)

    def connectionLost(self, reason):
        super().connectionLost(reason)
        self.run.onConnectionLost(self.failedByMe)
        self.factory.verdict = [self.run.behavior, self.run.behaviorClose]

    def sendFrame(self, opcode, payload=b"", payload_len=None, mask=None, **options):
        payload = to_bytes(payload)
        if payload_len is not None and payload:
            payload = (payload * (payload_len // len(payload) + 1))[:payload_len]
        self.txFrameStats[opcode] = self.txFrameStats.get(opcode, 0) + 1
        super().sendFrame(opcode=opcode, payload=payload, mask=to_bytes(mask), **options)

    def sendMessage(self, payload, isBinary=False, **options):
        super().sendMessage(to_bytes(payload), isBinary, **options)

    def sendPing(self, payload=None):
        super().sendPing(to_bytes(payload))

    def sendPong(self, payload=None):
        super().sendPong(to_bytes(payload))

    def sendMessageFrameData(self, payload, sync=False):
        return super().sendMessageFrameData(to_bytes(payload), sync)

    def sendCloseFrame(self, code=None, reasonUtf8=None, isReply=False):
        super().sendCloseFrame(code=code, reasonUtf8=to_bytes(reasonUtf8), isReply=isReply)

    def enableWirelog(self, enable):
        pass

    def later(self, delay, act):
        reactor.callLater(delay, lambda: None if self.state == self.STATE_CLOSED else act())

    def continueLater(self, delay, fun, tag=None):
        self.later(delay, fun)

    def killAfter(self, delay):
        self.later(delay, self.failConnection)

    def closeAfter(self, delay):
        self.later(delay, self.sendClose)


class Factory(WebSocketClientFactory):
    protocol = Fuzzer

    def __init__(self, url, case, done):
        super().__init__(url)
        self.setProtocolOptions(failByDrop=False)
        self.case = case
        self.done = done
        self.verdict = ["NEVER CONNECTED", ""]

    def clientConnectionLost(self, connector, reason):
        self.done(self.verdict)

    clientConnectionFailed = clientConnectionLost


def main():
    folder, patterns, *urls = sys.argv[1:]
    convert(folder)
    sys.path.insert(0, folder)
    cases = load(folder, patterns.split(","))
    queue = [(url, name, case) for name, case in cases for url in urls]
    verdicts = {url: {} for url in urls}
    running = set()

    def start():
        while queue and len(running) < AT_ONCE:
            url, name, case = queue.pop(0)
            running.add((url, name))

            def done(verdict, url=url, name=name):
                verdicts[url][name] = verdict
                running.discard((url, name))
                start()

            factory = Factory(url, case, done)
            # The certificate is somebody else's test.
            connectWS(factory, contextFactory=ssl.CertificateOptions(verify=False) if factory.isSecure else None)
        if not queue and not running and reactor.running:
            reactor.stop()

    reactor.callWhenRunning(start)
    reactor.run()
    json.dump([verdicts[url] for url in urls], sys.stdout)


main()
