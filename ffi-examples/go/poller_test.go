package wspoll

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"
)

func pair(t *testing.T) (net.Conn, net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	a, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestPollerReportsWhoHasSomethingToRead(t *testing.T) {
	poller, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	var near, far []net.Conn
	for range 10 {
		a, b := pair(t)
		near, far = append(near, a), append(far, b)
		if err := poller.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	waited := make(chan []net.Conn)
	ended := make(chan error, 1)
	go func() {
		for {
			conns, err := poller.Wait(4)
			if err != nil {
				ended <- err
				return
			}
			waited <- conns
		}
	}()
	// It is waiting, or will be: either is right.
	if _, err := far[3].Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	conns := receive(t, waited, "connection")
	if len(conns) != 1 || conns[0] != near[3] {
		t.Fatal(conns)
	}
	// Unread, it is reported again; read, it is not.
	for conns = receive(t, waited, "connection"); len(conns) != 1 || conns[0] != near[3]; {
		t.Fatal(conns)
	}
	buffer := make([]byte, 16)
	if n, err := near[3].Read(buffer); err != nil || string(buffer[:n]) != "hello" {
		t.Fatal(n, err)
	}
	// The end of a connection is something to read. What was reported before the read may still come.
	far[5].Close()
	for conns = receive(t, waited, "connection"); conns[0] == near[3]; conns = receive(t, waited, "connection") {
	}
	if len(conns) != 1 || conns[0] != near[5] {
		t.Fatal(conns)
	}
	if err := poller.Remove(near[5]); err != nil {
		t.Fatal(err)
	}
	if err := poller.Remove(near[5]); !errors.Is(err, ErrInvalidArgument) {
		t.Fatal(err)
	}
	if err := poller.Add(near[0]); !errors.Is(err, ErrInvalidArgument) {
		t.Fatal(err)
	}
	if err := poller.Add(tls.Client(far[0], nil)); err == nil {
		t.Fatal("a connection without a descriptor was taken")
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for {
			select {
			case <-waited:
			case <-time.After(50 * time.Millisecond):
				return
			}
		}
	}()
	<-drained
	if err := poller.Close(); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, ended, "end of Wait"); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	if _, err := poller.Wait(1); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	if err := poller.Add(near[1]); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
}
