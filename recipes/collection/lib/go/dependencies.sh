# shellcheck shell=bash disable=SC2154,SC1090
# Compiles the packages that $src lists into a cache.
set -euo pipefail
mkdir /build/.tools
install -m 755 "$PITH_LD" /build/.tools/ld
export COMPILER_PATH=/build/.tools
cp -r --no-preserve=ownership "$src" /build/source
chmod -R u+w /build/source
cd /build/source
source "$go_setup"
# shellcheck disable=SC2086
xargs -r go build -v -p "$PITH_BUILD_CORES" $go_flags <imports
# An entry ends in the time at which it was made, in nanoseconds, and must keep its length.
find "$GOCACHE" -type f -name '*-a' -exec \
    sed -i -E 's/[0-9]{19}$/1000000000000000000/' {} +
rm -f "$GOCACHE/trim.txt" "$GOCACHE/README" "$GOCACHE/testexpire.txt"
cp -r --no-preserve=ownership "$GOCACHE" "$out"
