#!/usr/bin/python3
"""The programs of a lifecycle, as far as a story needs them, by the Platform Interface Specification 0.13.

Written from the specification: analyzer, detector, restorer, builder, exporter and launcher, each by its own name. Images are
OCI layouts on disk (`-layout`); there is no registry and no engine here. What the specification leaves to a lifecycle is as
simple as can be. What a platform must not do is refused, so that the story notices it.
"""

import gzip, hashlib, io, json, os, shutil, subprocess, sys, tarfile, tomllib
from pathlib import Path

LAYERS = Path(os.environ.get("CNB_LAYERS_DIR", "/layers"))
APP = Path(os.environ.get("CNB_APP_DIR", "/workspace"))
PLATFORM = Path(os.environ.get("CNB_PLATFORM_DIR", "/platform"))
CACHE = Path(os.environ.get("CNB_CACHE_DIR", "/nowhere"))
METADATA = "io.buildpacks.lifecycle.metadata"


def main(program, arguments):
    if program not in PHASES:
        return launch(program, arguments)
    assert os.environ["CNB_PLATFORM_API"] == "0.13", "the builder says that it speaks 0.13 alone"
    assert os.environ["CNB_EXPERIMENTAL_MODE"] != "error" and os.environ["CNB_USE_LAYOUT"] == "true"
    assert os.getuid() == int(os.environ["CNB_USER_ID"]) != 0, "the lifecycle runs as the user that it is told"
    return PHASES[program](*arguments)


# Images


def path_of(reference):
    """Platform specification, "Map an image reference to a path in the layout directory"."""
    name, tag = reference.rsplit(":", 1)
    return Path(os.environ["CNB_LAYOUT_DIR"]) / name / tag


def blob(image, digest):
    return image / "blobs" / digest.replace(":", "/")


def read_image(image):
    if not (image / "index.json").exists():
        return None
    index = json.loads((image / "index.json").read_text())
    manifest = json.loads(blob(image, index["manifests"][0]["digest"]).read_text())
    config = json.loads(blob(image, manifest["config"]["digest"]).read_text())
    return {"path": image, "layers": manifest["layers"], "config": config}


def store(image, content, kind):
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    blob(image, digest).write_bytes(content)
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest, "size": len(content)}


def previous():
    return read_image(path_of(os.environ["CNB_PREVIOUS_IMAGE"]))


def layers_of(image):
    """What the lifecycle wrote down of the layers of an image, by buildpack and name."""
    return json.loads(image["config"]["config"]["Labels"][METADATA])["layers"] if image else {}


# Phases


def analyzer(image):
    run = read_image(path_of(os.environ["CNB_RUN_IMAGE"]))
    assert run and run["config"]["os"] == "linux", "the run image is there, at least its configuration"
    assert run["layers"] and not blob(run["path"], run["layers"][0]["digest"]).exists(), "it came without layers"
    (LAYERS / "analyzed.toml").write_text(f'[run-image]\nreference = "{run["path"]}"\n')
    if previous():
        print("Found the image of the build before")


def escaped(buildpack):
    return buildpack.replace("/", "_")


def environment():
    """User-provided variables are files, and never in the environment of a lifecycle."""
    return {file.name: file.read_text() for file in (PLATFORM / "env").iterdir()}


def run(buildpack, program, **variables):
    folder = Path("/cnb/buildpacks") / escaped(buildpack["id"]) / buildpack["version"]
    known = {name: os.environ[name] for name in ("HOME", "PATH")}
    own = {"CNB_BUILDPACK_DIR": folder, "CNB_PLATFORM_DIR": PLATFORM, **variables}
    variables = known | environment() | {name: str(value) for name, value in own.items()}
    return subprocess.run([folder / "bin" / program], cwd=APP, env=variables).returncode


def detector():
    order = LAYERS / "order.toml"
    order = order if order.exists() else Path("/cnb/order.toml")
    for number, order in enumerate(tomllib.loads(order.read_text())["order"]):
        chosen = []
        for buildpack in order["group"]:
            if run(buildpack, "detect", CNB_BUILD_PLAN_PATH="/tmp/plan.toml") == 0:
                chosen.append(buildpack)
                print(f"{buildpack['id']} {buildpack['version']}")
            elif not buildpack.get("optional"):
                break
        else:
            if chosen:
                (LAYERS / "group.json").write_text(json.dumps(chosen))
                return 0
        print(f"fail: group {number}")
    return 20


def group():
    return json.loads((LAYERS / "group.json").read_text())


def restorer():
    known = json.loads((CACHE / "cached.json").read_text()) if (CACHE / "cached.json").exists() else {}
    for buildpack in group():
        folder = LAYERS / escaped(buildpack["id"])
        folder.mkdir(exist_ok=True)
        for name, layer in known.get(buildpack["id"], {}).items():
            print(f"Restoring layer '{buildpack['id']}:{name}'")
            with tarfile.open(CACHE / f"{layer['digest']}.tar") as tar:
                tar.extractall("/")
            (folder / f"{name}.toml").write_text(layer["toml"])


def builder():
    processes = {}
    for buildpack in group():
        folder = LAYERS / escaped(buildpack["id"])
        if code := run(buildpack, "build", CNB_LAYERS_DIR=folder, CNB_BP_PLAN_PATH="/tmp/plan.toml"):
            print(f"{buildpack['id']} failed with status {code}")
            return 51
        launch = folder / "launch.toml"
        if launch.exists():
            for process in tomllib.loads(launch.read_text()).get("processes", []):
                processes[process["type"]] = process | {"buildpackID": buildpack["id"]}
    (LAYERS / "config").mkdir(exist_ok=True)
    metadata = {"processes": list(processes.values()), "buildpacks": group()}
    (LAYERS / "config" / "metadata.json").write_text(json.dumps(metadata))


def pack(*paths):
    """A tar of these files, with nothing in it that changes from one build to the next."""
    buffer = io.BytesIO()

    def plain(entry):
        entry.uid, entry.gid = int(os.environ["CNB_USER_ID"]), int(os.environ["CNB_GROUP_ID"])
        entry.uname = entry.gname = ""
        entry.mtime = 1
        return entry

    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in paths:
            tar.add(path, filter=plain)
    return buffer.getvalue()


def exporter(reference):
    run_image, before = read_image(path_of(os.environ["CNB_RUN_IMAGE"])), previous()
    image = path_of(reference)
    (image / "blobs" / "sha256").mkdir(parents=True)
    known = {}
    if before:
        known = dict(zip(before["config"]["rootfs"]["diff_ids"], before["layers"]))
    manifest_layers, diff_ids = list(run_image["layers"]), list(run_image["config"]["rootfs"]["diff_ids"])
    described, cached = {}, {}

    def add(name, content):
        diff_id = "sha256:" + hashlib.sha256(content).hexdigest()
        if diff_id in known and blob(before["path"], known[diff_id]["digest"]).exists():
            print(f"Reusing layer '{name}'")
            layer = known[diff_id]
            shutil.copy(blob(before["path"], layer["digest"]), blob(image, layer["digest"]))
        else:
            print(f"Adding layer '{name}'")
            layer = store(image, gzip.compress(content, 6, mtime=0), "layer.v1.tar+gzip")
        manifest_layers.append(layer)
        diff_ids.append(diff_id)
        return diff_id

    for buildpack in group():
        folder = LAYERS / escaped(buildpack["id"])
        for toml in sorted(folder.glob("*.toml")):
            if toml.stem in ("launch", "build", "store"):
                continue
            types = tomllib.loads(toml.read_text()).get("types", {})
            content = pack(folder / toml.stem)
            if types.get("launch"):
                sha = add(f"{buildpack['id']}:{toml.stem}", content)
                described.setdefault(buildpack["id"], {})[toml.stem] = {"sha": sha}
            if types.get("cache"):
                digest = hashlib.sha256(content).hexdigest()
                cached.setdefault(buildpack["id"], {})[toml.stem] = {"digest": digest, "toml": toml.read_text()}
                (CACHE / f"{digest}.tar").write_bytes(content)
    add("app", pack(APP))
    metadata = json.loads((LAYERS / "config" / "metadata.json").read_text())
    processes = Path("/tmp/launcher/cnb/process")
    processes.mkdir(parents=True)
    for process in metadata["processes"]:
        (processes / process["type"]).symlink_to("/cnb/lifecycle/launcher")
    buffer = io.BytesIO(pack("/cnb/lifecycle/launcher"))
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        tar.add(processes, arcname="cnb/process")
    add("launcher", buffer.getvalue())
    add("config", pack(LAYERS / "config" / "metadata.json"))

    config = dict(run_image["config"])
    variables = dict(variable.split("=", 1) for variable in config["config"].get("Env") or [])
    variables |= {
        "CNB_LAYERS_DIR": str(LAYERS),
        "CNB_APP_DIR": str(APP),
        "CNB_PLATFORM_API": os.environ["CNB_PLATFORM_API"],
        "PATH": "/cnb/process:/cnb/lifecycle:" + variables["PATH"],
    }
    default = next((one["type"] for one in metadata["processes"] if one.get("default")), None)
    config["config"] = config["config"] | {
        "Env": [f"{name}={value}" for name, value in variables.items()],
        "Entrypoint": [f"/cnb/process/{default}" if default else "/cnb/lifecycle/launcher"],
        "WorkingDir": str(APP),
        "Labels": {
            METADATA: json.dumps({"layers": described}),
            "io.buildpacks.build.metadata": json.dumps(metadata),
        },
    }
    config["rootfs"] = {"type": "layers", "diff_ids": diff_ids}
    manifest = {
        "schemaVersion": 2,
        "config": store(image, json.dumps(config).encode(), "config.v1+json"),
        "layers": manifest_layers,
    }
    index = {"schemaVersion": 2, "manifests": [store(image, json.dumps(manifest).encode(), "manifest.v1+json")]}
    (image / "index.json").write_text(json.dumps(index))
    (CACHE / "cached.json").write_text(json.dumps(cached))


# Launch


def launch(program, arguments):
    """Runs the process that the program is called after, or else what the arguments say, in a shell."""
    metadata = json.loads((LAYERS / "config" / "metadata.json").read_text())
    for buildpack in metadata["buildpacks"]:
        for file in sorted((LAYERS / escaped(buildpack["id"])).glob("*/env.launch/*.default")):
            os.environ.setdefault(file.stem, file.read_text())
    os.environ["PATH"] = os.environ["PATH"].removeprefix("/cnb/process:")
    for name in ("CNB_APP_DIR", "CNB_LAYERS_DIR"):
        os.environ.pop(name, None)
    os.chdir(APP)
    process = next((one for one in metadata["processes"] if one["type"] == program), None)
    if process:
        words = process["command"] + (arguments or process.get("args", []))
        os.execvp(words[0], words)
    if arguments[0] == "--":
        os.execvp(arguments[1], arguments[1:])
    os.execvp("bash", ["bash", "-c", 'exec bash -c "$@"', "launcher", *arguments])


PHASES = {one.__name__: one for one in (analyzer, detector, restorer, builder, exporter)}

if __name__ == "__main__":
    sys.exit(main(os.path.basename(sys.argv[0]), sys.argv[1:]))
