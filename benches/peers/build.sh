#!/usr/bin/env bash
# Builds wspoll (release), the load generator and the two C servers; prints the folder that the C programs are in.
#   build.sh [--no-wspoll]
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
echo "$bin"
