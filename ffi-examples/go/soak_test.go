package wspoll

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestFiveThousandConnections(t *testing.T) {
	const count = 5000
	// Whoever waits for the last to be dialed answers no pings meanwhile.
	server := start(t, Config{PingInterval: time.Hour, PongTimeout: 2 * time.Hour, Handler: HandlerFuncs{Message: echo}})
	conns := make([]*websocket.Conn, count)
	var dialing sync.WaitGroup
	for dialer := range 10 {
		dialing.Add(1)
		go func() {
			defer dialing.Done()
			for i := dialer; i < count; i += 10 {
				conn, _, err := websocket.DefaultDialer.Dial(endpoint(server), nil)
				if err != nil {
					t.Error(err)
					return
				}
				conns[i] = conn
			}
		}()
	}
	dialing.Wait()
	defer func() {
		for _, conn := range conns {
			if conn != nil {
				conn.Close()
			}
		}
	}()
	if t.Failed() {
		return
	}
	eventually(t, "all are counted", func() bool { return server.Connections() == count })
	for i, conn := range conns {
		deadline(conn)
		send(t, conn, TextMessage, fmt.Sprint("number ", i))
	}
	for i, conn := range conns {
		expect(t, conn, TextMessage, fmt.Sprint("number ", i))
	}
	if err := server.Broadcast(TextMessage, []byte("everybody")); err != nil {
		t.Fatal(err)
	}
	for _, conn := range conns {
		expect(t, conn, TextMessage, "everybody")
	}
}

// Neither Go's heap nor the number of goroutines and threads grows with connections, open or ended.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("opens 40,000 connections")
	}
	modes(t, func(t *testing.T, inline bool) {
		opened, closed := make(chan struct{}, 1<<16), make(chan struct{}, 1<<16)
		server := start(t, Config{Inline: inline, Handler: HandlerFuncs{
			Open:    func(c Conn) { opened <- struct{}{} },
			Message: echo,
			Close:   func(c Conn, err error) { closed <- struct{}{} },
		}})
		// What is kept for reuse has bounds that do not depend on the number of connections. A Go object for each
		// connection would take twice this.
		const count, slack = 4000, 160 << 10
		round := func() (idle uint64, goroutines, running int) {
			clients := connect(t, server, count)
			for range count {
				receive(t, opened, "connection")
			}
			idle, goroutines, running = heap(), runtime.NumGoroutine(), threads(t)
			clients.hangUp()
			for range count {
				receive(t, closed, "close")
			}
			return idle, goroutines, running
		}
		round() // warms up
		base, goroutines, running := heap(), runtime.NumGoroutine(), threads(t)
		for range 4 {
			idle, g, r := round()
			if grown := int64(idle) - int64(base); grown > slack {
				t.Errorf("%d connections: Go's heap grew by %d bytes", count, grown)
			}
			if g > goroutines+4 {
				t.Errorf("%d connections: %d goroutines, %d without", count, g, goroutines)
			}
			if r > running+2 {
				t.Errorf("%d connections: %d threads, %d without", count, r, running)
			}
		}
		if grown := int64(heap()) - int64(base); grown > slack {
			t.Errorf("after %d connections, Go's heap has grown by %d bytes", 5*count, grown)
		}
	})
}

// Inline, a message costs no allocation.
func TestNothingIsAllocatedPerMessage(t *testing.T) {
	server := start(t, Config{Inline: true, Shards: 1, Handler: HandlerFuncs{Message: echo}})
	conn := dial(t, server).NetConn()
	frames := make([]byte, 0, 32*10)
	for range 32 {
		frames = append(frames, "\x82\x84\x00\x00\x00\x00ping"...)
	}
	answer := make([]byte, 32*6)
	turn := func() {
		if _, err := conn.Write(frames); err != nil {
			t.Fatal(err)
		}
		for got := 0; got < len(answer); {
			n, err := conn.Read(answer[got:])
			if err != nil {
				t.Fatal(err)
			}
			got += n
		}
	}
	const runs = 500
	most := 1.0
	if runtime.GOOS == "windows" {
		most = 4 // the client's own two calls
	}
	if perRun := testing.AllocsPerRun(runs, turn); perRun >= most {
		t.Errorf("%v allocations for 32 messages", perRun)
	}
}
