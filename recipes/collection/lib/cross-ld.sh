#!/bin/sh
# What comes before ld.sh in builds for another processor (stdenv.star joins the two).
# Programs that such a build runs itself are linked by the seed's own compiler, which finds
# this linker too; they run in the sandbox only, so with the seed's loader.
if [ $# -eq 1 ]; then
    case "$1" in @*) eval "set -- $(cat "${1#@}")" ;; esac
fi
case " $* " in
*" elf_x86_64 "*) exec /usr/bin/x86_64-linux-gnu-ld.bfd "$@" ;;
esac

# gcc for another processor does not take LIBRARY_PATH from its environment, but overwrites it.
IFS=:
for directory in ${PITH_LIBRARY_PATH-}; do
    set -- "$@" "-L$directory"
done
unset IFS

