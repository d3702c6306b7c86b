# shellcheck shell=bash disable=SC2154,SC1090
# Compiles everything that the manifests in $src ask for; their own sources are empty.
set -euo pipefail
mkdir /build/.tools
install -m 755 "$PITH_LD" /build/.tools/ld
export COMPILER_PATH=/build/.tools
cp -r --no-preserve=ownership,timestamps "$src" /build/source
chmod -R u+w /build/source
cd /build/source
source "$rust_setup"
# shellcheck disable=SC2086
cargo build --release --frozen $cargo_flags

# What was made of the empty sources would only be in the way.
cd "$CARGO_TARGET_DIR"
find release -maxdepth 1 -type f -delete
for name in $own; do
    rm -rf release/.fingerprint/"$name"-* release/build/"$name"-* \
        release/deps/{,lib}"${name//-/_}"-*
done
rm -f .rustc_info.json
cp -r --no-preserve=ownership "$CARGO_TARGET_DIR" "$out"
