# shellcheck shell=bash disable=SC2154
# Functions for the builds of dependencies and of the program itself, which must look alike to
# cargo: the same target directory, flags and place of the crates, or it compiles all anew.
export CARGO_HOME=/build/cargo CARGO_TARGET_DIR=/build/target CARGO_INCREMENTAL=0
export CARGO_BUILD_JOBS=$PITH_BUILD_CORES CARGO_TERM_COLOR=never
export RUSTFLAGS="--remap-path-prefix=/build=. --remap-path-prefix=$crates=crates"

mkdir -p "$CARGO_HOME"
cat >"$CARGO_HOME/config.toml" <<EOF
[source.crates-io]
replace-with = "vendored"
[source.vendored]
directory = "$crates"
[net]
offline = true
EOF

# Takes over what was compiled before. All times are equal, so that cargo finds nothing newer
# than what was made of it, except for the project's own sources.
restore() {
    cp -r --preserve=mode,timestamps "$1" "$CARGO_TARGET_DIR"
    chmod -R u+w "$CARGO_TARGET_DIR"
}

# Copies the programs and shared libraries that cargo has left.
install_programs() {
    local file
    for file in "$CARGO_TARGET_DIR"/release/*; do
        [ -f "$file" ] || continue
        case "$file" in
        *.so) install -Dm 755 "$file" "$out/lib/${file##*/}" ;;
        *.d | *.rlib | *.a | *.rmeta) ;;
        *) [ ! -x "$file" ] || install -Dm 755 "$file" "$out/bin/${file##*/}" ;;
        esac
    done
    [ -d "$out" ] || { echo "error: cargo made no program" >&2; return 1; }
}
