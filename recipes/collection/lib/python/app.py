"""Puts an app's own files into $out, with an environment in which they and the wheels are found.

The environment is what `python -m venv` makes, so that a program that starts
`sys.executable` gets the same modules. $programs is JSON: a name in bin, and what it runs.
"""

import compileall
import importlib.metadata
import json
import os
import py_compile
import shutil
import sys

OUT = os.environ["out"]
PYTHON = os.environ["python"]
PACKAGES = os.environ.get("packages")
APP = os.path.join(OUT, "lib", "app")
ENVIRONMENT = os.path.join(OUT, "lib", "environment")
VERSION = "python%d.%d" % sys.version_info[:2]

ENTRY = """#!%(python)s
import sys
from %(module)s import %(first)s
sys.exit(%(function)s())
"""

MAIN = """#!%(python)s
import runpy, sys
sys.path[0] = %(directory)r
sys.argv[0] = %(file)r
runpy.run_path(%(file)r, run_name="__main__")
"""

MODULE = """#!%(python)s
import runpy
runpy.run_module(%(module)r, run_name="__main__", alter_sys=True)
"""


def die(message):
    sys.exit("error: " + message)


def make_environment(roots):
    site = os.path.join(ENVIRONMENT, "lib", VERSION, "site-packages")
    os.makedirs(site)
    os.makedirs(os.path.join(ENVIRONMENT, "bin"))
    os.symlink(PYTHON + "/bin/python3", os.path.join(ENVIRONMENT, "bin", "python3"))
    os.symlink("python3", os.path.join(ENVIRONMENT, "bin", "python"))
    with open(os.path.join(ENVIRONMENT, "pyvenv.cfg"), "w") as file:
        file.write("home = %s/bin\ninclude-system-site-packages = false\n" % PYTHON)
    with open(os.path.join(site, "app.pth"), "w") as file:
        file.writelines(root + "\n" for root in roots)
        if PACKAGES:
            # Unlike a plain line, this also reads the .pth files there.
            directory = site_packages()
            file.write("import site; site.addsitedir(%r)\n" % directory)


def site_packages():
    return os.path.join(PACKAGES, "lib", VERSION, "site-packages")


def script_of_packages(name):
    """The text of a program that a wheel brings."""
    if not PACKAGES:
        die("no wheel has a program %s: there are no wheels" % name)
    for distribution in importlib.metadata.distributions(path=[site_packages()]):
        for point in distribution.entry_points:
            if point.group == "console_scripts" and point.name == name:
                return entry(point.value)
    script = os.path.join(PACKAGES, "scripts", name)
    if os.path.exists(script):
        with open(script, encoding="utf-8") as file:
            first, _, rest = file.read().partition("\n")
        if first.startswith("#!") and "python" in first:
            return "#!%s/bin/python3\n%s" % (ENVIRONMENT, rest)
    die("no wheel has a program %s" % name)


def entry(value):
    """The text of a program for `module:function`."""
    module, _, function = value.split("[")[0].strip().partition(":")
    return ENTRY % {
        "python": ENVIRONMENT + "/bin/python3",
        "module": module,
        "first": function.split(".")[0],
        "function": function,
    }


def main_file(path):
    file = os.path.join(APP, path)
    if not os.path.exists(file):
        die("the app has no file %s" % path)
    return MAIN % {
        "python": ENVIRONMENT + "/bin/python3",
        "directory": os.path.dirname(file),
        "file": file,
    }


def text_of(name, what):
    if what is None:
        return script_of_packages(name)
    if what.startswith("-m "):
        return MODULE % {"python": ENVIRONMENT + "/bin/python3", "module": what[3:]}
    return entry(what) if ":" in what else main_file(what)


def main():
    print("@pith phase unpack", flush=True)
    excluded = shutil.ignore_patterns(".venv", "__pycache__", "*.pyc")
    shutil.copytree(os.environ["src"], APP, symlinks=True, ignore=excluded)
    for directory, _, files in os.walk(APP):
        os.chmod(directory, 0o755)
        for name in files:
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                os.chmod(path, 0o644)
    print("@pith phase install", flush=True)
    src = os.path.join(APP, "src")
    make_environment([src, APP] if os.path.isdir(src) else [APP])
    os.makedirs(os.path.join(OUT, "bin"))
    for name, what in json.loads(os.environ["programs"]).items():
        path = os.path.join(OUT, "bin", name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text_of(name, what))
        os.chmod(path, 0o755)
    print("@pith phase fixup", flush=True)
    compileall.compile_dir(
        APP,
        quiet=2,
        maxlevels=50,
        stripdir=APP,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


main()
