# shellcheck shell=bash disable=SC2154
# The standard phases of a build. lib/stdenv.star hands over what varies, as environment
# variables: $outputs, $src, $patches, $phases, $remove, and for each phase that the recipe
# gives commands for, the commands in $phase_NAME. Such commands run in the source
# directory with -euo pipefail and may call the functions below.
set -euo pipefail
shopt -s nullglob

build_directory=$PWD
source_directory=$build_directory/source

die() {
    echo "error: $*" >&2
    exit 1
}

# --- unpack, patch -----------------------------------------------------------------------

# Unpacks archive $1 to the new directory $2, without the one directory it may have on top.
unpack_archive() {
    local unpacked=$2.unpacked entries
    mkdir "$unpacked"
    tar -xf "$1" -C "$unpacked" --no-same-owner
    entries=("$unpacked"/* "$unpacked"/.[!.]*)
    if [ ${#entries[@]} = 1 ] && [ -d "${entries[0]}" ]; then
        mv "${entries[0]}" "$2"
        rmdir "$unpacked"
    else
        mv "$unpacked" "$2"
    fi
}

unpack() {
    if [ -d "$src" ]; then
        cp -r --no-preserve=ownership "$src" "$source_directory"
    else
        unpack_archive "$src" "$source_directory"
    fi
    chmod -R u+w "$source_directory"
    cd "$source_directory"
}

# A patch is a file for -p1, or a Debian source package's *.debian.tar.*: then its series,
# without the entries that $skip_patches names.
apply_patches() {
    local each name skipped=${skip_patches-} debian=$build_directory/debian
    for each in ${patches-}; do
        case "$each" in
        *.debian.tar.*)
            unpack_archive "$each" "$debian"
            while read -r name _; do
                case "$name" in "" | \#*) continue ;; esac
                case " $skipped " in
                *" $name "*) skipped=${skipped/$name/} ;;
                *) patch -p1 --no-backup-if-mismatch -i "$debian/patches/$name" ;;
                esac
            done <"$debian/patches/series"
            ;;
        *) patch -p1 --no-backup-if-mismatch -i "$each" ;;
        esac
    done
    [ -z "${skipped// /}" ] || die "no series has the patch to skip: $skipped"
}

# --- fixup -------------------------------------------------------------------------------

# Moves what matches the globs $2… from $out and $lib to the same place in output $1.
move_to() {
    local target=$1 prefix glob match
    shift
    for prefix in "$out" ${lib-}; do
        for glob in "$@"; do
            for match in "$prefix"/$glob; do
                [ -e "$match" ] || continue # without a wildcard a glob is left as it is
                mkdir -p "$target/$(dirname "${match#"$prefix/"}")"
                mv "$match" "$target/${match#"$prefix/"}"
            done
        done
    done
}

# Development files leave `out`, so that no image carries them.
split_outputs() {
    local file
    case " $outputs " in
    *" doc "*) move_to "$doc" share/doc share/info share/man share/gtk-doc ;;
    *) rm -rf "$out"/share/{doc,info,man,gtk-doc} ;;
    esac
    case " $outputs " in *" dev "*) ;; *) return ;; esac
    move_to "$dev" include 'lib/*.a' lib/pkgconfig share/pkgconfig lib/cmake share/aclocal \
        'bin/*-config'
    for file in "$dev"/lib/pkgconfig/*.pc "$dev"/share/pkgconfig/*.pc; do
        sed -i -E "s|^includedir=.*/include|includedir=$dev/include|" "$file"
    done
}

# Strips one ELF file or archive. Section .comment names the compiler's version, which must
# not change a result; archives get neither times nor owners.
strip_file() {
    case "$1" in
    *.a | *.o) strip --strip-debug --enable-deterministic-archives "$1" ;;
    *) strip --strip-unneeded --remove-section=.comment "$1" ;;
    esac
}

# Leaves of a run path only the store directories that hold a needed library: libtool
# records the build directory, the linker wrapper everything that might be used.
shrink_run_path() {
    run_path() { patchelf --print-rpath "$1" 2>/dev/null || true; } # fails for static ones
    [ -n "$(run_path "$1")" ] || return 0
    patchelf --shrink-rpath --allowed-rpath-prefixes /pith/store "$1"
    [ -n "$(run_path "$1")" ] || patchelf --remove-rpath "$1"
}

# Points a script's `#!` to the interpreter's store path, found in $PITH_DEPS or in $out.
patch_shebang() {
    local line interpreter arguments directory
    IFS= read -r line <"$1" || true
    line=${line#\#!}
    read -r interpreter arguments <<<"$line"
    case "$interpreter" in
    /pith/store/*) return ;;
    */env) read -r interpreter arguments <<<"$arguments" ;;
    esac
    for directory in $out ${PITH_DEPS-}; do
        if [ -x "$directory/bin/${interpreter##*/}" ]; then
            line="#!$directory/bin/${interpreter##*/}${arguments:+ $arguments}"
            # The line may hold any character, so sed must not see it.
            { printf '%s\n' "$line" && tail -n +2 "$1"; } >"$1.patched"
            chmod --reference="$1" "$1.patched"
            mv "$1.patched" "$1"
            return
        fi
    done
    die "script ${1#/pith/store/*/} needs ${interpreter##*/}: add its package to deps," \
        "or the file to remove"
}

# Deletes what $remove lists: globs below any output, each of which must match something.
remove_files() {
    local globs glob output match found
    read -r -a globs <<<"${remove-}" # a loop over $remove would expand them here
    for glob in "${globs[@]}"; do
        found=
        for output in $outputs; do
            for match in "${!output}"/$glob; do
                [ -e "$match" ] || [ -L "$match" ] || continue
                rm -rf "$match"
                found=1
            done
        done
        [ -n "$found" ] || die "nothing to remove is called \`$glob\`"
    done
}

fixup() {
    local output file magic
    remove_files
    split_outputs
    for output in $outputs; do
        [ -e "${!output}" ] || die "the build made no output \`$output\`"
        chmod -R u+w "${!output}"
        find "${!output}" -name '*.la' -delete
        while IFS= read -r -d '' file; do
            magic=
            IFS= LC_ALL=C read -r -n 4 -d '' magic <"$file" 2>/dev/null || true
            case "$magic" in
            $'\x7fELF')
                strip_file "$file"
                shrink_run_path "$file"
                ;;
            '!<ar') strip_file "$file" ;;
            '#!'*) [ ! -x "$file" ] || patch_shebang "$file" ;;
            esac
        done < <(find "${!output}" -type f -print0)
        [ ! -d "${!output}" ] || find "${!output}" -mindepth 1 -type d -empty -delete
    done
}

# --- run ---------------------------------------------------------------------------------

# gcc looks for `ld` here first. A library of the package itself is found before any other.
mkdir "$build_directory/.tools" "$build_directory/.pith-links"
install -m 755 "$PITH_LD" "$build_directory/.tools/ld"
export COMPILER_PATH=$build_directory/.tools
export PITH_RPATH="${lib:-$out}/lib $PITH_RPATH"
mkdir -p "${TMPDIR:-/tmp}"

for phase in $phases; do
    echo "@pith phase $phase"
    commands=phase_$phase
    if [ -n "${!commands+set}" ]; then
        eval "${!commands}"
    else
        case "$phase" in
        unpack) unpack ;;
        patch) apply_patches ;;
        fixup) fixup ;;
        *) die "phase \`$phase\` has no commands" ;;
        esac
    fi
    if [ -d "$source_directory" ]; then cd "$source_directory"; fi
done
