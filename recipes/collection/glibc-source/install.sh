# shellcheck shell=bash disable=SC2154,SC2164
# Sorts what glibc's build made into $out, $bin and $dev.

make -C ../objects install sysconfdir="$out/etc" localstatedir="$out/var"
mkdir -p "$out/lib/locale" "$dev/lib" "$bin/bin"

# Of the locales only C.UTF-8: all of them are 280 MB.
I18NPATH="$PWD/localedata" "$out/bin/localedef" -i C -f UTF-8 --no-archive \
    "$out/lib/locale/C.utf8"

# `dev` gets start files and linker scripts, which name files of both outputs.
sed -i -E "s|$out(/lib/[^ ]*\\.a)|$dev\\1|g" "$out/lib/libc.so" "$out/lib/libm.a"
mv "$out"/lib/*.o "$out"/lib/lib{c,m}.so "$dev/lib/"
mv "$out"/bin/{getconf,getent,iconv,locale,localedef} "$bin/bin/"

# Scripts, programs for a whole system, and what locales are made from; tools for debugging
# malloc and threads, and what only programs of 1998 link to.
(
    cd "$out"
    rm -rf bin sbin etc libexec share var lib/audit
    rm lib/lib{BrokenLocale,c_malloc_debug,memusage,pcprofile,thread_db}.so*
)

# pthread_cancel, pthread_exit and backtrace dlopen this one.
cp -L "$(gcc -print-file-name=libgcc_s.so.1)" "$out/lib/"
