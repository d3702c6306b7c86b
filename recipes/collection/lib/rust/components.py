"""Tells pith which crates are in the programs that were built: those that cargo resolves for
this system without what is for tests, build scripts and the compiler only."""

import json
import os
import re
import subprocess
import tomllib


def cargo(*words):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


def selection():
    """The flags that cargo was given, in the words of `cargo metadata`, and the packages."""
    words = os.environ.get("cargo_flags", "").split()
    flags = [w for w in words if w.startswith(("--features", "--no-default-features"))]
    names = [words[i + 1] for i, w in enumerate(words) if w in ("--package", "-p")]
    return flags, names


def main():
    compiler = dict(re.findall(r"^(host|release): (.*)$", cargo("rustc", "-vV"), re.M))
    flags, names = selection()
    metadata = json.loads(
        cargo("cargo", "metadata", "--frozen", "--format-version=1",
              "--filter-platform=" + compiler["host"], *flags))
    packages = {p["id"]: p for p in metadata["packages"]}
    nodes = {n["id"]: n for n in metadata["resolve"]["nodes"]}
    members = metadata["workspace_members"]
    pending = [m for m in members if not names or packages[m]["name"] in names]
    with open("Cargo.lock", "rb") as file:
        locked = tomllib.load(file)["package"]
    digests = {(p["name"], p["version"]): p.get("checksum") for p in locked}

    found = set()
    while pending:
        current = pending.pop()
        if current in found:
            continue
        found.add(current)
        for dependency in nodes[current]["deps"]:
            is_used = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            targets = packages[dependency["pkg"]]["targets"]
            if is_used and not any("proc-macro" in t["kind"] for t in targets):
                pending.append(dependency["pkg"])

    release = compiler["release"].split(" ")[0]
    components = [{
        "name": "rust-std",
        "version": release,
        "purl": f"pkg:generic/rust-std@{release}",
        "license": "MIT OR Apache-2.0",
    }]
    for package in (packages[f] for f in found if f not in members):
        name, version = package["name"], package["version"]
        digest = digests.get((name, version))
        fields = {
            "name": name,
            "version": version,
            "purl": f"pkg:cargo/{name}@{version.replace('+', '%2B')}",
            # Cargo's old way to write a choice.
            "license": (package["license"] or "").replace("/", " OR "),
            "homepage": package["homepage"] or package["repository"],
            "digest": digest and f"sha256:{digest}",
        }
        components.append({key: text for key, text in fields.items() if text})
    with open("/build/.pith-components", "w") as file:
        for component in components:
            file.write(json.dumps(component) + "\n")


main()
