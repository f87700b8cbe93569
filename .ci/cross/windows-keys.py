"""windows-keys.py PROGRAM: presses Ctrl-C for wspoll.exe under Wine, in a terminal, as somebody at a console does.

The first has it drain and end well; the second has it end at once.
"""

import os
import pty
import re
import select
import socket
import sys
import time

PATIENCE = 60
CTRL_C = b"\x03"
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
GOING_AWAY = b"\x03\xe9"


class Server:
    def __init__(self, *arguments):
        self.said = b""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execvp("wine", ["wine", sys.argv[1], "--listen", "127.0.0.1:0", *arguments])
        address = self.read_to(rb"http://127\.0\.0\.1:(\d+)")
        self.socket = socket.create_connection(("127.0.0.1", int(address[1])), PATIENCE)
        self.socket.sendall(UPGRADE)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.socket.recv(1)
        assert head.startswith(b"HTTP/1.1 101 "), head

    def read_to(self, pattern):
        """Reads what it says until the pattern is there; with none, to its end."""
        deadline = time.monotonic() + PATIENCE
        while not (pattern and re.search(pattern, self.said)):
            ready, _, _ = select.select([self.terminal], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise SystemExit(f"nothing more within {PATIENCE} s of {self.said!r}")
            try:
                more = os.read(self.terminal, 65536)
            except OSError:  # Linux: nobody has the other end open
                more = b""
            if not more:
                return None
            self.said += more
        return re.search(pattern, self.said)

    def press(self, key):
        os.write(self.terminal, key)

    def expect_close_frame(self):
        frame = self.socket.recv(4)
        assert frame[:1] == b"\x88" and frame[2:] == GOING_AWAY, frame

    def expect_end(self, wanted):
        self.read_to(None)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        assert code == wanted, (code, self.said)


server = Server()
server.press(CTRL_C)
server.expect_close_frame()
server.socket.sendall(b"\x88\x82\0\0\0\0" + GOING_AWAY)
while server.socket.recv(4096):
    pass
server.socket.close()
server.expect_end(0)
assert b"Ctrl-C: draining" in server.said, server.said

server = Server("--drain-timeout", "10m", "--close-timeout", "10m")
server.press(CTRL_C)
server.expect_close_frame()
server.press(CTRL_C)
server.expect_end(130)

print("Ctrl-C drains, the second ends at once")
