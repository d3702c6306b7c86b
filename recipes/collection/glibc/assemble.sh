# shellcheck shell=bash disable=SC2016,SC2154
# Takes the run-time part of Debian's glibc apart. Inputs: $libc6, $libc_bin and
# $libgcc_s1 (.deb files); outputs: $out, $gconv, $locale.

unpack() { # DEB DIRECTORY
    mkdir -p "$2"
    (cd "$2" && ar p "$1" data.tar.xz | tar -xJ)
}
unpack "$libc6" libc6
unpack "$libc_bin" libc-bin
unpack "$libgcc_s1" libgcc

echo "@pith phase install"
mkdir -p "$out/lib" "$gconv/lib" "$locale/lib/locale"
lib=libc6/lib/x86_64-linux-gnu
# Tools for debugging malloc and threads, and what only programs of 1998 link to.
rm "$lib"/lib{BrokenLocale,c_malloc_debug,memusage,pcprofile,thread_db}.*
cp -a "$lib"/* "$out/lib/"
# pthread_cancel, pthread_exit and backtrace dlopen this one.
cp -a libgcc/lib/x86_64-linux-gnu/libgcc_s.so.1 "$out/lib/"
cp -a libc6/usr/lib/x86_64-linux-gnu/gconv "$gconv/lib/"
cp -a libc-bin/usr/lib/locale/C.utf8 "$locale/lib/locale/"

echo "@pith phase fixup"
# No library may be looked for outside of the store: beside libc is the only place.
# The loader itself has no dependencies and does not survive patching.
for file in "$out"/lib/*.so*; do
    case "$file" in */ld-linux*) ;; *) patchelf --set-rpath '$ORIGIN' "$file" ;; esac
done
# libc is also a program, which prints its version.
patchelf --set-interpreter "$out/lib/ld-linux-x86-64.so.2" "$out/lib/libc.so.6"
for file in "$gconv"/lib/gconv/*.so; do
    patchelf --set-rpath "\$ORIGIN:$out/lib" "$file"
done
chmod -R u+w "$out" "$gconv" "$locale"
