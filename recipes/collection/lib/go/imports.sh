# shellcheck shell=bash disable=SC2154,SC1090
# Copies from $src to $out what has to do with other modules, and lists the packages that the
# programs need from elsewhere. Nothing in the result changes while a program is being written
# that imports what it did.
set -euo pipefail
cp -r --no-preserve=ownership "$src" /build/source
cd /build/source
source "$go_setup"
# shellcheck disable=SC2086
go list -deps $go_flags -f '{{if or .Standard (not .Module.Main)}}{{.ImportPath}}{{end}}' $programs |
    grep -vx -e unsafe -e C | sort >/build/imports
mkdir "$out"
cp go.mod "$out"
[ ! -f go.sum ] || cp go.sum "$out"
[ ! -d vendor ] || cp -r vendor "$out"
cp /build/imports "$out"
