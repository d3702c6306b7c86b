# shellcheck shell=bash disable=SC2154
# Functions for the builds of dependencies and of the program itself, which must look alike to
# go: the same flags and directory, or it compiles all anew.
export GOCACHE=/build/go-cache GOPATH=/build/go GOENV=off GOPROXY=off GOSUMDB=off
export GOTOOLCHAIN=local GOTELEMETRY=off GOFLAGS="-trimpath -buildvcs=false"
[ ! -f vendor/modules.txt ] || GOFLAGS="$GOFLAGS -mod=vendor"

# Takes over what was compiled before.
restore() {
    cp -r "$1" "$GOCACHE"
    chmod -R u+w "$GOCACHE"
    # Otherwise go would look for entries that nobody used for days, and find all of them.
    date +%s >"$GOCACHE/trim.txt"
}

build_programs() {
    mkdir -p "$1"
    # shellcheck disable=SC2086
    go build -v -p "$PITH_BUILD_CORES" $go_flags -ldflags "-s -w -buildid= $ldflags" -o "$1/" $programs
    [ -n "$(ls -A "$1")" ] || { echo "error: go made no program of $programs" >&2; return 1; }
}

# Tells pith which modules are in the programs $@: go writes that into each of them.
name_components() {
    local version purl
    version=$(go env GOVERSION)
    {
        printf '{"name":"go-std","version":"%s","purl":"pkg:golang/std@%s","license":"%s","homepage":"https://go.dev/","digest":"%s"}\n' \
            "${version#go}" "${version#go}" "$go_std_license" "sha256:$go_sha256"
        # A module that another one replaces is told by a line `=>` of its own.
        go version -m "$@" | awk -F '\t' '
            function tell() {
                if (name) printf "{\"name\":\"%s\",\"version\":\"%s\",\"purl\":\"pkg:golang/%s@%s\"}\n", name, number, name, number
                name = ""
            }
            $2 == "dep" { tell(); name = $3; number = $4 }
            $2 == "=>" && $4 { name = $3; number = $4 }
            END { tell() }'
    } >/build/.pith-components
}
