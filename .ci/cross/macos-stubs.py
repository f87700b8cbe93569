"""macos-stubs.py DIR: puts stubs of macOS's libraries into DIR, made of what the ziglang package brings.

Zig's names the architectures arm64e and arm64e.x1 where a program for arm64 is linked against the same symbols; lld takes
the names literally, so they are rewritten to arm64.
"""

import pathlib
import re
import sys

import ziglang

directory = pathlib.Path(sys.argv[1])
zig = pathlib.Path(ziglang.__file__).parent / "lib/libc/darwin/libSystem.tbd"


def arm64(targets):
    names = re.split(r"[,\s]+", targets[2].strip())
    names = [re.sub(r"^arm64e(\.x1)?-", "arm64-", name) for name in names]
    return f"{targets[1]}[ {', '.join(dict.fromkeys(names))} ]"


(directory / "libSystem.tbd").write_text(re.sub(r"(targets:\s+)\[([^\]]*)\]", arm64, zig.read_text()))
for alias in ("libc.tbd", "libm.tbd"):
    (directory / alias).unlink(missing_ok=True)
    (directory / alias).symlink_to("libSystem.tbd")
# The libc crate names iconv on every link for Apple's systems, and Zig has no stub of it.
(directory / "libiconv.tbd").write_text("""\
--- !tapi-tbd
tbd-version:     4
targets:         [ x86_64-macos, arm64-macos ]
install-name:    '/usr/lib/libiconv.2.dylib'
current-version: 7
compatibility-version: 7
exports:
  - targets:         [ x86_64-macos, arm64-macos ]
    symbols:         [ _iconv, _iconv_close, _iconv_open ]
...
""")
