package wspoll

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// patience is how long anything may take that happens at once.
const patience = time.Minute

// modes runs a test with handlers on goroutines and inline.
func modes(t *testing.T, test func(t *testing.T, inline bool)) {
	for _, inline := range []bool{false, true} {
		name := "goroutines"
		if inline {
			name = "inline"
		}
		t.Run(name, func(t *testing.T) { test(t, inline) })
	}
}

// start starts a server that ends with the test.
func start(t testing.TB, config Config) *Server {
	t.Helper()
	if config.Addr == "" {
		config.Addr = "127.0.0.1:0"
	}
	server, err := Listen(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return server
}

func endpoint(server *Server) string { return "ws://" + server.Addr().String() + "/" }

// dial connects, and disconnects at the end of the test.
func dial(t testing.TB, server *Server) *websocket.Conn {
	t.Helper()
	return dialWith(t, endpoint(server), nil, nil)
}

func dialWith(t testing.TB, url string, subprotocols []string, header http.Header) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: subprotocols, HandshakeTimeout: patience, ReadBufferSize: 512, WriteBufferSize: 512}
	conn, response, err := dialer.Dial(url, header)
	if err != nil {
		status := ""
		if response != nil {
			status = response.Status
		}
		t.Fatal(err, status)
	}
	deadline(conn)
	t.Cleanup(func() { conn.Close() })
	return conn
}

func deadline(conn *websocket.Conn) {
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_ = conn.SetWriteDeadline(time.Now().Add(patience))
}

func send(t testing.TB, conn *websocket.Conn, kind int, payload string) {
	t.Helper()
	if err := conn.WriteMessage(kind, []byte(payload)); err != nil {
		t.Fatal(err)
	}
}

func expect(t testing.TB, conn *websocket.Conn, kind int, payload string) {
	t.Helper()
	gotKind, got, err := conn.ReadMessage()
	if err != nil {
		t.Fatalf("waiting for %.40q: %v", payload, err)
	}
	if gotKind != kind || string(got) != payload {
		t.Fatalf("got %d %.40q, want %d %.40q", gotKind, got, kind, payload)
	}
}

// expectClose reads up to the close frame, and hangs up: the server waits for that.
func expectClose(t testing.TB, conn *websocket.Conn, code int, reason string) {
	t.Helper()
	for {
		_, _, err := conn.ReadMessage()
		var closed *websocket.CloseError
		if errors.As(err, &closed) {
			if closed.Code != code || closed.Text != reason {
				t.Fatalf("closed with %d %q, want %d %q", closed.Code, closed.Text, code, reason)
			}
			conn.Close()
			return
		}
		if err != nil {
			t.Fatalf("waiting for close %d: %v", code, err)
		}
	}
}

// receive takes from a channel, or fails.
func receive[T any](t testing.TB, from <-chan T, what string) T {
	t.Helper()
	select {
	case got := <-from:
		return got
	case <-time.After(patience):
		t.Fatalf("no %s", what)
		panic("unreachable")
	}
}

// eventually waits for what happens soon, and has no event.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func echo(c Conn, kind int, payload []byte) {
	if err := c.Write(kind, payload); err != nil && !errors.Is(err, ErrGone) && !errors.Is(err, ErrServerClosed) {
		panic(err)
	}
}

// heap returns how many bytes of Go's heap are in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func threads(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Skip("no /proc here")
	}
	return len(entries)
}

// clients is another process with connections, so that theirs is not this process's memory.
type clients struct {
	cmd    *exec.Cmd
	stdin  *os.File
	stdout *os.File
}

const clientsVariable = "WSPOLL_TEST_CLIENTS"

// connect opens connections from another process; hangUp ends it.
func connect(t *testing.T, server *Server, count int) *clients {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", clientsVariable, server.Addr(), count))
	in, theirIn, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	theirOut, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	out.Close()
	c := &clients{cmd, theirIn, theirOut}
	t.Cleanup(c.hangUp)
	answer := make([]byte, 16)
	if n, err := c.stdout.Read(answer); err != nil || string(answer[:n]) != "open\n" {
		t.Fatalf("clients: %q %v", answer[:n], err)
	}
	return c
}

func (c *clients) hangUp() {
	c.stdin.Close()
	_ = c.cmd.Wait()
	c.stdout.Close()
}

// TestMain is the other process, too.
func TestMain(m *testing.M) {
	var addr string
	var count int
	if _, err := fmt.Sscanf(os.Getenv(clientsVariable), "%s %d", &addr, &count); err != nil {
		os.Exit(m.Run())
	}
	if err := beClients(addr, count); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const handshake = "GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// beClients opens connections, has one message echoed on each, says so, and keeps them until its input ends.
func beClients(addr string, count int) error {
	for range count {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		// The request, and behind it "hi" under a mask of zeros.
		if _, err := conn.Write([]byte(handshake + "\x82\x82\x00\x00\x00\x00hi")); err != nil {
			return err
		}
		got := ""
		buffer := make([]byte, 512)
		for !strings.HasSuffix(got, "\x82\x02hi") {
			n, err := conn.Read(buffer)
			if err != nil {
				return fmt.Errorf("after %q: %w", got, err)
			}
			got += string(buffer[:n])
		}
	}
	fmt.Println("open")
	_, _ = os.Stdin.Read(make([]byte, 1))
	return nil
}
