"""Unpacks wheels into one site-packages directory below $out.

$wheels_0, $wheels_1, … are lists in JSON of what lib/python.star says of each wheel.
"""

import compileall
import email
import itertools
import json
import os
import py_compile
import re
import stat
import subprocess
import sys
import zipfile

OUT = os.environ["out"]
SITE = os.path.join(OUT, "lib", "python%d.%d" % sys.version_info[:2], "site-packages")
# Where a compiled part may find what the wheel leaves to the system (PEP 600).
LIBRARIES = [os.environ[name] + "/lib" for name in ("glibc", "gcc_libs", "zlib")]

# What the trove classifiers say whose meaning is one license.
CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}


def die(message):
    sys.exit("error: " + message)


def target(name, wheel):
    """Where a member goes; what a wheel has for a user's own directories goes to $out."""
    parts = name.split("/")
    if name.startswith("/") or ".." in parts:
        die("%s has the member %r" % (wheel, name))
    if parts[0].endswith(".data") and len(parts) > 2:
        place = {
            "purelib": SITE,
            "platlib": SITE,
            "scripts": os.path.join(OUT, "scripts"),
            "data": OUT,
        }.get(parts[1])
        return place and os.path.join(place, *parts[2:])
    return os.path.join(SITE, *parts)


def unpack(wheel):
    with zipfile.ZipFile(wheel["archive"]) as archive:
        for member in archive.infolist():
            path = target(member.filename, wheel["name"])
            if member.is_dir() or path is None:
                continue
            os.makedirs(os.path.dirname(path), exist_ok=True)
            content = archive.read(member)
            if os.path.exists(path):
                with open(path, "rb") as other:
                    if other.read() != content:
                        die("two wheels have a file %s" % os.path.relpath(path, OUT))
            with open(path, "wb") as file:
                file.write(content)
            # Nothing in here is run by its name: launchers are made from entry points.
            os.chmod(path, 0o644)
        return email.message_from_bytes(archive.read(metadata_of(archive, wheel["name"])))


def metadata_of(archive, name):
    for member in archive.namelist():
        if re.fullmatch(r"[^/]+\.dist-info/METADATA", member):
            return member
    die("%s has no METADATA, so it is no wheel" % name)


def license_of(metadata):
    stated = (metadata["License-Expression"] or metadata["License"] or "").strip()
    if stated and "\n" not in stated and len(stated) <= 100 and stated != "UNKNOWN":
        return stated
    classifiers = metadata.get_all("Classifier") or []
    names = [c.split(" :: ")[-1] for c in classifiers if c.startswith("License :: ")]
    known = sorted({CLASSIFIERS[name] for name in names if name in CLASSIFIERS})
    return known[0] if len(known) == 1 and len(names) == 1 else None


def patchelf(*arguments):
    return subprocess.run(
        ["patchelf", *arguments], check=True, capture_output=True, text=True
    ).stdout


def fix_elf(path):
    """Adds the store's directories of what a library needs to its run path."""
    with open(path, "rb") as file:
        if file.read(4) != b"\x7fELF":
            return
    needed = patchelf("--print-needed", path).split()
    wanted = [d for d in LIBRARIES if any(os.path.exists(os.path.join(d, n)) for n in needed)]
    if wanted:
        patchelf("--add-rpath", ":".join(wanted), path)


def main():
    wheels = []
    for part in itertools.count():
        text = os.environ.get("wheels_%d" % part)
        if text is None:
            break
        wheels += json.loads(text)
    print("@pith phase unpack", flush=True)
    lines = []
    for wheel in wheels:
        if not zipfile.is_zipfile(wheel["archive"]):
            die("%s is a source archive; only wheels can be used" % wheel["name"])
        metadata = unpack(wheel)
        component = {
            "name": wheel["name"],
            "version": wheel["version"],
            "purl": "pkg:pypi/%s@%s" % (wheel["name"], wheel["version"].replace("+", "%2B")),
        }
        license = license_of(metadata)
        if license:
            component["license"] = license
        lines.append(json.dumps(component, sort_keys=True) + "\n")
    with open("/build/.pith-components", "w") as file:
        file.writelines(sorted(lines))
    print("@pith phase fixup", flush=True)
    for directory, directories, files in os.walk(OUT):
        directories.sort()
        for name in sorted(files):
            path = os.path.join(directory, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                fix_elf(path)
    compile_tree(SITE)


def compile_tree(tree):
    """Byte code that is not compared with its source, whose time the store does not keep."""
    compileall.compile_dir(
        tree,
        quiet=2,  # a wheel may carry templates that are no Python
        maxlevels=50,
        stripdir=tree,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


if __name__ == "__main__":
    main()
