#!/bin/sh
# Runs @title@, which is packed behind this script with all that it needs. Nothing is installed: the files are unpacked once, below
# $XDG_CACHE_HOME/pith-run or ~/.cache/pith-run, and may be deleted from there at any time. PITH_RUN_MODE chooses how the program finds them:
#   namespace  in a mount namespace in which they lie at their places; the default where the machine allows one
#   loader     where they were unpacked, through their own dynamic loader: what the program looks for at its place in /pith/store is not there then
set -u
name=@name@
digest=@digest@
skip=@skip@

fail() {
    printf '%s: %s\n' "$name" "$1" >&2
    exit 126
}

case ${XDG_CACHE_HOME-} in
/*) cache=$XDG_CACHE_HOME/pith-run ;;
*) case ${HOME-} in
    /*) cache=$HOME/.cache/pith-run ;;
    *) fail 'neither XDG_CACHE_HOME nor HOME says where to unpack to' ;;
    esac ;;
esac
tree=$cache/$digest

# A machine may have been told to run programs for others, by qemu.
machine=$(uname -s)/$(uname -m)
case $machine in
@machines@) ;;
*) grep -qs '^enabled' /proc/sys/fs/binfmt_misc/qemu-@processor@ || fail "this file is for @platform@, and this machine is $machine" ;;
esac

# Whoever clears caches may have deleted a part of it.
is_whole() {
    [ -d "$tree" ] || return 1
    command -v find >/dev/null 2>&1 || return 0
    count=$(cd "$tree" && find . | wc -l) || return 1
    [ "$((count))" -ge @entries@ ]
}

packed() {
    tail -c "+$skip" "$0" || fail "cannot read \`$0\`"
}

unpack() {
    mkdir -p "$cache" || fail "cannot make \`$cache\`"
    new=$(mktemp -d "$cache/.new.XXXXXX") || fail "cannot write to \`$cache\`"
    trap 'rm -rf "$new"' EXIT
    trap 'exit 130' HUP INT TERM
    if command -v sha256sum >/dev/null 2>&1; then
        found=$(packed | sha256sum)
        [ "${found%% *}" = "$digest" ] || fail 'this file is damaged: it has not the digest that it should have'
    else
        packed | @decompress@ >/dev/null || fail 'this file is damaged'
    fi
    mkdir "$new/$digest" || fail "cannot write to \`$cache\`"
    packed | @decompress@ | tar -xf - -C "$new/$digest" || fail "cannot unpack to \`$cache\`"
    [ ! -d "$tree" ] || is_whole || mv "$tree" "$new/old" || fail "cannot repair \`$tree\`"
    # Another run may have been faster; its files are the same.
    mv "$new/$digest" "$cache/" 2>/dev/null || [ -d "$tree" ] || fail "cannot write to \`$cache\`"
    rm -rf "$new"
    trap - EXIT HUP INT TERM
}

# Makes the root in the new namespace and becomes the program. Arguments: where, the unpacked tree, `unshare` with its options, the directory to start in,
# then the program.
enter=$(cat <<'END_OF_ENTER'
root=$1 tree=$2 unshare=$3 identity=$4 here=$5
shift 5
show() {
    if [ -L "$1" ]; then
        ln -s "$(readlink "$1")" "$2"
    elif [ -d "$1" ]; then
        mkdir -p "$2" && mount -o rbind "$1" "$2"
    else
        : >"$2" && mount -o bind "$1" "$2"
    fi
}
mount -t tmpfs -o mode=755 none "$root" || exit 126
for entry in "$tree"/* "$tree"/.[!.]*; do
    if [ "$entry" = "$tree/tmp" ]; then
        show /tmp "$root/tmp" || exit 126
    elif [ -e "$entry" ] || [ -L "$entry" ]; then
        place=$root/${entry##*/}
        show "$entry" "$place" || exit 126
        [ -L "$entry" ] || mount -o remount,bind,ro "$place" 2>/dev/null
    fi
done
for entry in /* /.[!.]*; do
    case $entry in
    /bin | /boot | /etc | /lib | /lib32 | /lib64 | /libx32 | /lost+found | /pith | /sbin | /usr) ;;
    *) [ -e "$tree$entry" ] || [ -L "$tree$entry" ] || [ ! -e "$entry" ] || show "$entry" "$root$entry" 2>/dev/null ;;
    esac
done
for entry in /etc/resolv.conf /etc/hosts /etc/passwd /etc/group; do
    [ ! -e "$entry" ] || [ ! -f "$root$entry" ] || mount -o bind "$entry" "$root$entry" 2>/dev/null
done
for entry in @volumes@; do
    mount -t tmpfs -o mode=1777 none "$root$entry" || exit 126
done
[ -d "$root$here" ] || here=/
@namespace_env@
# shellcheck disable=SC2086 # options
exec "$unshare" $identity -R "$root" -w "$here" -- "$@"
END_OF_ENTER
)

# Whether namespaces are allowed and `mount` and `unshare` do what is needed: finds out by doing it.
probe() {
    unshare=$(command -v unshare) && command -v mount >/dev/null 2>&1 || return 1
    mkdir -p "$cache/.root" || return 1
    # shellcheck disable=SC2086,SC2016 # options; another shell expands it
    $unshare $new_namespaces sh -c 'mount -t tmpfs none "$1" && exec "$2" $3 -R / -w / -- true' sh "$cache/.root" "$unshare" "$identity" >/dev/null 2>&1
}

is_whole || unpack

uid=$(id -u)
if [ "$uid" = 0 ]; then
    new_namespaces=-m identity=
else
    new_namespaces=-Urm identity="-U --map-user=$uid --map-group=$(id -g)"
fi
case ${PITH_RUN_MODE-} in
loader) ;;
namespace) probe || fail 'this machine allows no mount namespace, or has no `unshare` and `mount` of util-linux 2.38 or later' ;;
'') probe || {
    PITH_RUN_MODE=loader
    printf '%s: this machine allows no mount namespace, so /pith/store is not there: only libraries and what the command line names are found\n' "$name" >&2
} ;;
*) fail "PITH_RUN_MODE is \`$PITH_RUN_MODE\`, which is neither namespace nor loader" ;;
esac
if [ "${PITH_RUN_MODE-}" != loader ]; then
    unset PITH_RUN_MODE
    @namespace_arguments@
    # shellcheck disable=SC2086 # options
    exec "$unshare" $new_namespaces sh -c "$enter" sh "$cache/.root" "$tree" "$unshare" "$identity" @directory@ "$@"
fi
unset PITH_RUN_MODE
@loader_env@
@loader_arguments@
exec "$@"
exit 126
