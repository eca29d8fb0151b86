"""Prints the requirements of a poetry.lock for pip: the main group, for this machine and the Python given as argument.

Poetry itself would have to be installed first, with forty packages of its own; its lock file says all that is needed.
Which packages belong to the main group is in lock files since version 2.1 only, so it is found out by walking along
the dependencies from pyproject.toml.
"""

import sys
import tomllib

from pip._vendor.packaging.markers import Marker, default_environment
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.specifiers import InvalidSpecifier, SpecifierSet
from pip._vendor.packaging.utils import canonicalize_name


def read(path):
    with open(path, "rb") as file:
        return tomllib.load(file)


def applies(marker, extras):
    """Whether a marker holds here, for one of the extras that were asked for."""
    if not marker:
        return True
    return any(Marker(marker).evaluate(ENVIRONMENT | {"extra": extra}) for extra in ["", *extras])


def alternatives(dependencies, extras):
    """Name, wanted versions and extras of each dependency in Poetry's own form that applies here."""
    for name, wanted in dependencies.items():
        for one in wanted if isinstance(wanted, list) else [wanted]:
            one = {"version": one} if isinstance(one, str) else one
            if one.get("optional") and "extra" not in one.get("markers", ""):
                continue
            if name != "python" and applies(one.get("markers"), extras):
                yield name, one.get("version", "*"), one.get("extras", [])


def roots(project):
    for line in project.get("project", {}).get("dependencies", []):
        requirement = Requirement(line)
        if applies(str(requirement.marker or ""), []):
            yield requirement.name, str(requirement.specifier), requirement.extras
    yield from alternatives(project.get("tool", {}).get("poetry", {}).get("dependencies", {}), [])


def fits(package, versions):
    """Poetry's own forms, such as ^1.2, were checked when the file was locked."""
    try:
        return versions == "*" or SpecifierSet(versions).contains(package["version"], prereleases=True)
    except InvalidSpecifier:
        return True


def line_of(package):
    source = package.get("source", {})
    name = package["name"]
    match source.get("type"):
        case "git":
            return f"{name} @ git+{source['url']}@{source['resolved_reference']}"
        case "url":
            return f"{name} @ {source['url']}"
        case "directory" | "file":
            return f"./{source['url']}"
    hashes = "".join(f" --hash={file['hash']}" for file in package.get("files", []))
    return f"{name}=={package['version']}{hashes}"


def main():
    packages = {}
    for package in read("poetry.lock").get("package", []):
        packages.setdefault(canonicalize_name(package["name"]), []).append(package)
    found, seen, queue = {}, set(), list(roots(read("pyproject.toml")))
    while queue:
        name, versions, extras = queue.pop()
        name, extras = canonicalize_name(name), frozenset(extras)
        for package in packages.get(name, []):
            key = (name, package["version"], extras)
            marker = package.get("markers", "")
            if key in seen or not fits(package, versions) or (isinstance(marker, str) and not applies(marker, extras)):
                continue
            seen.add(key)
            found[name] = line_of(package)
            queue.extend(alternatives(package.get("dependencies", {}), extras))
    print("\n".join(sorted(found.values())))


ENVIRONMENT = default_environment() | {
    "python_full_version": sys.argv[1],
    "python_version": ".".join(sys.argv[1].split(".")[:2]),
}
try:
    main()
except (OSError, ValueError, KeyError, TypeError) as error:
    sys.exit(f"poetry.lock and pyproject.toml cannot be read: {error!r}")
