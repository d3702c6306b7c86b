"""Unpacks crates side by side, each with the file by which cargo knows its digest."""

import json
import os
import tarfile


def unpack(archive, name, version, digest, out):
    top = f"{name}-{version}"
    with tarfile.open(archive, "r:gz") as members:
        for member in members:
            parts = member.name.split("/")
            if parts[0] != top or ".." in parts or not (member.isfile() or member.isdir()):
                raise SystemExit(f"error: {top}.crate has `{member.name}` in it")
            if member.isfile():
                # Only whether a file may be executed is kept of its mode.
                member.mode = 0o755 if member.mode & 0o100 else 0o644
                members.extract(member, out)
    with open(f"{out}/{top}/.cargo-checksum.json", "w") as file:
        json.dump({"files": {}, "package": digest}, file)


def main():
    # Scripts and programs stay as their authors published them, for the scripts of builds that start them.
    open("/build/.pith-sources", "w").close()
    out = os.environ["out"]
    os.makedirs(out)
    for part in range(int(os.environ["parts"])):
        for line in os.environ[f"crates_{part}"].split("\n"):
            unpack(*line.split(" "), out)


main()
