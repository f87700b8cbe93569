"""macos-stubs.py DIR: puts stubs of macOS's libraries into DIR as they lie on a Mac, libSystem from the ziglang package.

Zig's names the architectures arm64e and arm64e.x1 where a program for arm64 is linked against the same symbols; lld takes
the names literally, so they are rewritten to arm64.
"""

import pathlib
import re
import sys

import ziglang

directory = pathlib.Path(sys.argv[1])
libraries = directory / "usr/lib"
libraries.mkdir(parents=True, exist_ok=True)
zig = pathlib.Path(ziglang.__file__).parent / "lib/libc/darwin/libSystem.tbd"


def arm64(targets):
    names = re.split(r"[,\s]+", targets[2].strip())
    names = [re.sub(r"^arm64e(\.x1)?-", "arm64-", name) for name in names]
    return f"{targets[1]}[ {', '.join(dict.fromkeys(names))} ]"


(libraries / "libSystem.tbd").write_text(re.sub(r"(targets:\s+)\[([^\]]*)\]", arm64, zig.read_text()))
for alias in ("libc.tbd", "libm.tbd"):
    (libraries / alias).unlink(missing_ok=True)
    (libraries / alias).symlink_to("libSystem.tbd")

# What Zig has no stubs of: iconv, which the libc crate names on every link for Apple's systems, and the frameworks in which
# the command watches files. Only what is used of them; the linker tells what is missing.
ICONV = "iconv iconv_close iconv_open"
OBJC = "objc_autoreleasePoolPop objc_autoreleasePoolPush objc_msgSend objc_release objc_retain"
CORE_FOUNDATION = """
    CFArrayAppendValue CFArrayCreateMutable CFArrayGetCount CFArrayGetValueAtIndex CFArrayInsertValueAtIndex
    CFArrayRemoveValueAtIndex CFCopyDescription CFEqual CFGetTypeID CFHash CFRelease CFRetain CFRunLoopGetCurrent
    CFRunLoopIsWaiting CFRunLoopRun CFRunLoopStop CFStringCompare CFStringCreateWithBytes CFStringCreateWithCString
    CFStringGetBytes CFStringGetCString CFStringGetCStringPtr CFStringGetLength CFURLCopyAbsoluteURL CFURLCopyFileSystemPath
    CFURLCopyLastPathComponent CFURLCreateCopyAppendingPathComponent CFURLCreateCopyDeletingLastPathComponent
    CFURLCreateFilePathURL CFURLCreateFileReferenceURL CFURLCreateFromFileSystemRepresentation CFURLCreateFromFileSystemRepresentationRelativeToBase
    CFURLGetFileSystemRepresentation CFURLResourceIsReachable kCFAllocatorDefault kCFAllocatorNull kCFRunLoopDefaultMode
    kCFTypeArrayCallBacks
"""
CORE_SERVICES = """
    FSEventStreamCreate FSEventStreamFlushAsync FSEventStreamFlushSync FSEventStreamGetDeviceBeingWatched
    FSEventStreamInvalidate FSEventStreamRelease FSEventStreamScheduleWithRunLoop FSEventStreamStart FSEventStreamStop
    FSEventsGetCurrentEventId FSEventsPurgeEventsForDeviceUpToEventId
"""


def stub(path, install_name, symbols):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"""\
--- !tapi-tbd
tbd-version:     4
targets:         [ x86_64-macos, arm64-macos ]
install-name:    '{install_name}'
current-version: 7
compatibility-version: 7
exports:
  - targets:         [ x86_64-macos, arm64-macos ]
    symbols:         [ {", ".join("_" + symbol for symbol in symbols.split())} ]
...
""")


def framework(name, symbols):
    path = f"/System/Library/Frameworks/{name}.framework"
    stub(directory / path[1:] / f"{name}.tbd", f"{path}/Versions/A/{name}", symbols)


stub(libraries / "libiconv.tbd", "/usr/lib/libiconv.2.dylib", ICONV)
stub(libraries / "libobjc.tbd", "/usr/lib/libobjc.A.dylib", OBJC)
framework("CoreFoundation", CORE_FOUNDATION)
framework("CoreServices", CORE_SERVICES)
