#!/usr/bin/env bash
# Builds wspoll (release), the load generator and the two C servers; prints the folder that the C programs are in.
#   build.sh [--no-wspoll]
#
# With UWS_DIR, a checkout of uWebSockets with its submodule uSockets, it builds a server on that too; with Go in PATH a hub
# on gorilla/websocket.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
bin=$target/peers

[ "${1:-}" = --no-wspoll ] || cargo build --release --quiet --manifest-path "$root/Cargo.toml" >&2
mkdir -p "$bin"
for program in wsload rawecho limitws; do
    if [ "$here/$program.c" -nt "$bin/$program" ]; then
        "${CC:-cc}" -O3 -march=native -o "$bin/$program" "$here/$program.c" -lm
    fi
done
if [ -n "${UWS_DIR:-}" ] && [ "$here/uws.cpp" -nt "$bin/uws" ]; then
    sockets=$UWS_DIR/uSockets
    (
        # The flags of its own Makefile, without TLS and compression, which nobody here uses.
        cd "$bin"
        "${CC:-cc}" -c -O3 -march=native -flto -DLIBUS_NO_SSL -I"$sockets/src" "$sockets"/src/*.c "$sockets"/src/eventing/*.c \
            "$sockets"/src/crypto/*.c
        "${CXX:-c++}" -w -std=c++20 -O3 -march=native -flto -DLIBUS_NO_SSL -DUWS_NO_ZLIB -I"$UWS_DIR/src" -I"$sockets/src" \
            -o uws "$here/uws.cpp" ./*.o
        rm -f ./*.o
    )
fi
if [ "${1:-}" != --no-wspoll ] && command -v go >/dev/null; then
    (cd "$root/ffi-examples/go/bench" && go build -o "$bin/gorilla" ./gorilla)
fi
echo "$bin"
