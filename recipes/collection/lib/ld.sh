#!/bin/sh
# The linker that gcc and g++ find through COMPILER_PATH. To every dynamic link it adds
#   - the loader of the store's libc ($PITH_INTERP) in place of the seed's,
#   - a run path: $PITH_RPATH, and each store directory in which a -l or a named
#     library was found; fixup drops what no NEEDED entry uses,
# and to every link --build-id=none, last, because gcc passes its own --build-id after the
# user's flags: a build id hashes the scratch prefix and so differs for equal results.
# Static links keep their flags otherwise, so do links of a build without $PITH_INTERP.
#
# What each link was made of is recorded for the audit, where the build directory has .pith-links: a
# file that starts with the working directory and the result, then a line for each file and each
# member of an archive that was linked, and a hard link to the result, which the build may rename.
real=/usr/bin/x86_64-linux-gnu-ld.bfd
records=${0%/*}/../.pith-links

# gcc and rustc hand over long lines as one @file, quoted for a shell.
if [ $# -eq 1 ]; then
    case "$1" in @*) eval "set -- $(cat "${1#@}")" ;; esac
fi
[ -n "$PITH_INTERP" ] || [ -d "$records" ] || exec "$real" "$@" --build-id=none

directories='' libraries='' run_path='' dynamic='' previous='' result=a.out
add_run_path() {
    case " $run_path " in *" $1 "*) ;; *) run_path="$run_path $1" ;; esac
}

# One pass over "$@": each argument is taken from the front and put back at the end.
left=$#
while [ "$left" -gt 0 ]; do
    argument=$1
    shift
    left=$((left - 1))
    case "$previous" in
    -dynamic-linker | --dynamic-linker) argument=${PITH_INTERP:-$argument} dynamic=1 ;;
    -L) directories="$directories $argument" ;;
    -l) libraries="$libraries $argument" ;;
    -o) result=$argument ;;
    -z) ;;
    *)
        case "$argument" in
        -L/*) directories="$directories ${argument#-L}" ;;
        -l?*) libraries="$libraries ${argument#-l}" ;;
        -dynamic-linker=* | --dynamic-linker=*)
            [ -z "$PITH_INTERP" ] || argument=--dynamic-linker=$PITH_INTERP
            dynamic=1
            ;;
        -shared | --shared | -Bshareable) dynamic=1 ;;
        # What is asked for on standard output is not a record.
        -v | -V | -M | --version | --help | --verbose* | --print-* | --target-help | -t | --trace)
            records=/dev/null
            ;;
        /pith/store/*.so | /pith/store/*.so.*) add_run_path "${argument%/*}" ;;
        esac
        ;;
    esac
    previous=$argument
    set -- "$@" "$argument"
done

if [ -n "$PITH_INTERP" ] && [ -n "$dynamic" ]; then
    for directory in $directories; do
        # For each DIR of $LIBRARY_PATH, gcc also passes DIR/../lib.
        case "$directory" in */../*) continue ;; /pith/store/*) ;; *) continue ;; esac
        for library in $libraries; do
            [ -e "$directory/lib$library.so" ] && add_run_path "$directory" && break
        done
    done
    for directory in $PITH_RPATH $run_path; do
        set -- "$@" -rpath "$directory"
    done
fi
# configure tries hundreds of programs, which nobody installs.
case "$result" in conftest | */conftest) records=/dev/null ;; esac
[ -d "$records" ] || exec "$real" "$@" --build-id=none

record=$records/$$
while [ -e "$record" ]; do record=$record-; done
printf '%s\n' "$PWD" "$result" >"$record"
if "$real" "$@" --build-id=none -t -t >>"$record"; then
    ln "$result" "$record.result" 2>/dev/null || rm -f "$record"
else
    status=$?
    rm -f "$record"
    exit "$status"
fi
