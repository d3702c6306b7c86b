# shellcheck shell=bash disable=SC2154
# Copies from $src to $out what cargo reads to decide what to compile: manifests, the lock file
# and settings, and an empty program in the place of each file that a target starts with.
# Nothing in the result changes while a program is being written.
set -euo pipefail
shopt -s nullglob

stub() {
    [ -f "$1" ] || return 0
    mkdir -p "$out/$(dirname "$1")"
    echo 'fn main() {}' >"$out/$1"
}

mkdir "$out"
cd "$src"
for file in Cargo.lock .cargo/config .cargo/config.toml; do
    [ ! -f "$file" ] || install -Dm 644 "$file" "$out/$file"
done
while IFS= read -r -d '' manifest; do
    install -Dm 644 "$manifest" "$out/$manifest"
    directory=$(dirname "$manifest")
    for file in "$directory"/{build.rs,src/{main,lib}.rs} \
        "$directory"/{src/bin,examples,tests,benches}/{*.rs,*/main.rs}; do
        stub "$file"
    done
    while IFS= read -r file; do
        stub "$directory/$file"
    done < <(sed -nE 's/^[^#]*(path|build) *= *"([^"]+\.rs)".*/\2/p' "$manifest")
done < <(find . -name target -prune -o -name Cargo.toml -print0 | sort -z)
