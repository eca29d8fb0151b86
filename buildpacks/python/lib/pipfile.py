"""Prints the requirements of a Pipfile.lock, or of a Pipfile without one, for pip."""

import json
import os
import sys
import tomllib


def requirement(name, wanted):
    """One package, as in https://pipenv.pypa.io/en/latest/pipfile.html."""
    if isinstance(wanted, str):
        wanted = {"version": wanted}
    extras = "[" + ",".join(wanted["extras"]) + "]" if wanted.get("extras") else ""
    if "git" in wanted:
        reference = f"@{wanted['ref']}" if wanted.get("ref") else ""
        line = f"{name}{extras} @ git+{wanted['git']}{reference}"
    elif "path" in wanted:
        return f"-e {wanted['path']}" if wanted.get("editable") else wanted["path"]
    elif "file" in wanted:
        line = f"{name}{extras} @ {wanted['file']}"
    else:
        version = wanted.get("version", "*")
        line = name + extras + ("" if version == "*" else version)
    if wanted.get("markers"):
        line += f" ; {wanted['markers']}"
    return line + "".join(f" --hash={digest}" for digest in wanted.get("hashes", []))


def main():
    if os.path.exists("Pipfile.lock"):
        with open("Pipfile.lock", encoding="utf-8") as file:
            lock = json.load(file)
        sources, packages = lock.get("_meta", {}).get("sources", []), lock.get("default", {})
    else:
        with open("Pipfile", "rb") as file:
            pipfile = tomllib.load(file)
        sources, packages = pipfile.get("source", []), pipfile.get("packages", {})
    for number, source in enumerate(sources):
        option = "--index-url" if number == 0 else "--extra-index-url"
        print(option, os.path.expandvars(source["url"]))
    for name, wanted in packages.items():
        print(requirement(name, wanted))


try:
    main()
except (ValueError, KeyError, TypeError) as error:
    sys.exit(f"The Pipfile cannot be read: {error!r}")
