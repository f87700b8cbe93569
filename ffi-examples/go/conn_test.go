package wspoll

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestCloseTellsCodeAndReason(t *testing.T) {
	modes(t, func(t *testing.T, inline bool) {
		ends := make(chan error, 1)
		server := start(t, Config{Inline: inline, Handler: HandlerFuncs{
			Message: func(c Conn, kind int, payload []byte) {
				if err := c.Write(kind, payload); err != nil {
					t.Error(err)
				}
				if err := c.Close(4001, string(payload)); err != nil {
					t.Error(err)
				}
			},
			Close: func(c Conn, err error) { ends <- err },
		}})
		t.Run("by the client", func(t *testing.T) {
			conn := dial(t, server)
			message := websocket.FormatCloseMessage(websocket.CloseGoingAway, "bye")
			if err := conn.WriteMessage(websocket.CloseMessage, message); err != nil {
				t.Fatal(err)
			}
			err := receive(t, ends, "close")
			var closed *CloseError
			if !errors.As(err, &closed) || closed.Code != CloseGoingAway || closed.Text != "bye" || closed.Cause != CausePeer {
				t.Fatalf("%#v", err)
			}
			if !IsCloseError(err, CloseGoingAway) || IsUnexpectedCloseError(err, CloseGoingAway) || !IsUnexpectedCloseError(err, 1000) {
				t.Fatal("its code is not found")
			}
		})
		t.Run("by the server, after what is queued", func(t *testing.T) {
			conn := dial(t, server)
			send(t, conn, TextMessage, "enough")
			expect(t, conn, TextMessage, "enough")
			expectClose(t, conn, 4001, "enough")
			var closed *CloseError
			if err := receive(t, ends, "close"); !errors.As(err, &closed) || closed.Sent != 4001 || closed.Cause != CauseHost {
				t.Fatalf("%#v", err)
			}
		})
		t.Run("by the network", func(t *testing.T) {
			conn := dial(t, server)
			conn.NetConn().Close()
			if err := receive(t, ends, "close"); !IsCloseError(err, CloseAbnormalClosure) || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatal(err)
			}
		})
	})
}

func TestGorillasWaysToPingAndClose(t *testing.T) {
	pongs := make(chan string, 1)
	opened := make(chan Conn, 1)
	server := start(t, Config{Handler: HandlerFuncs{
		Open: func(c Conn) { opened <- c },
		Pong: func(c Conn, payload []byte) { pongs <- string(payload) },
	}})
	conn := dial(t, server)
	c := receive(t, opened, "connection")
	if err := c.Write(PingMessage, []byte("are you there")); err != nil {
		t.Fatal(err)
	}
	if err := c.Write(TextMessage, []byte("behind it")); err != nil {
		t.Fatal(err)
	}
	expect(t, conn, TextMessage, "behind it") // gorilla answers pings while it reads
	if got := receive(t, pongs, "pong"); got != "are you there" {
		t.Fatal(got)
	}
	if err := c.Write(CloseMessage, FormatCloseMessage(ClosePolicyViolation, "no")); err != nil {
		t.Fatal(err)
	}
	expectClose(t, conn, websocket.ClosePolicyViolation, "no")
	if err := c.Write(PongMessage, nil); !errors.Is(err, ErrInvalidArgument) {
		t.Fatal(err)
	}
}

func TestCallsForAnEndedConnectionSayGone(t *testing.T) {
	modes(t, func(t *testing.T, inline bool) {
		opened, closed := make(chan Conn, 1), make(chan Conn, 1)
		server := start(t, Config{Inline: inline, Handler: HandlerFuncs{
			Open:  func(c Conn) { opened <- c },
			Close: func(c Conn, err error) { closed <- c },
		}})
		conn := dial(t, server)
		c := receive(t, opened, "connection")
		if server.Conn(c.ID()) != c {
			t.Fatal("the id names another connection")
		}
		conn.Close()
		if receive(t, closed, "close") != c {
			t.Fatal("another connection ended")
		}
		for name, err := range map[string]error{
			"Write":     c.Write(TextMessage, []byte("x")),
			"WriteMany": c.WriteMany(TextMessage, []byte("x"), []byte("y")),
			"Close":     c.Close(1000, ""),
			"Join":      c.Join("room"),
			"Leave":     c.Leave("room"),
			"Ping":      c.Ping(nil),
			"SetValue":  c.SetValue(1),
			"nobody":    Conn{}.Write(TextMessage, nil),
		} {
			if !errors.Is(err, ErrGone) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if c.RemoteAddr() != nil || c.Value() != nil {
			t.Error("something is left")
		}
	})
}

func TestBadArgumentsAreErrors(t *testing.T) {
	opened := make(chan Conn, 1)
	server := start(t, Config{Handler: HandlerFuncs{Open: func(c Conn) { opened <- c }}})
	dial(t, server)
	c := receive(t, opened, "connection")
	for name, err := range map[string]error{
		"kind":           c.Write(3, nil),
		"kinds":          c.WriteMany(PingMessage, nil),
		"reserved code":  c.Close(1005, ""),
		"huge code":      c.Close(70000, ""),
		"long reason":    c.Close(1000, strings.Repeat("x", 124)),
		"zero in reason": c.Close(1000, "\x00"),
		"long ping":      c.Ping(make([]byte, 126)),
		"long room":      c.Join(strings.Repeat("x", 1025)),
		"zero in room":   server.Publish("\x00", TextMessage, nil),
		"room's kind":    server.Publish("room", CloseMessage, nil),
		"close payload":  c.Write(CloseMessage, []byte{3}),
	} {
		if !errors.Is(err, ErrInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBadTextIsDropped(t *testing.T) {
	modes(t, func(t *testing.T, inline bool) {
		dropped := make(chan error, 1)
		server := start(t, Config{Inline: inline, Handler: HandlerFuncs{
			Message: func(c Conn, kind int, payload []byte) {
				_ = c.Write(TextMessage, []byte("\xff"))
				_ = c.Write(TextMessage, payload)
			},
			Dropped: func(c Conn, messages int, err error) { dropped <- err },
		}})
		conn := dial(t, server)
		send(t, conn, TextMessage, "good")
		expect(t, conn, TextMessage, "good")
		if err := receive(t, dropped, "word of it"); !errors.Is(err, ErrInvalidArgument) {
			t.Fatal(err)
		}
	})
}

func TestValueStaysWithItsConnection(t *testing.T) {
	modes(t, func(t *testing.T, inline bool) {
		last := make(chan any, 1)
		server := start(t, Config{Inline: inline, Handler: HandlerFuncs{
			Message: func(c Conn, kind int, payload []byte) {
				count, _ := c.Value().(int)
				if err := c.SetValue(count + 1); err != nil {
					t.Error(err)
				}
				_ = c.Write(kind, fmt.Append(nil, count))
			},
			Close: func(c Conn, err error) { last <- c.Value() },
		}})
		a, b := dial(t, server), dial(t, server)
		for i := range 3 {
			send(t, a, TextMessage, "next")
			expect(t, a, TextMessage, fmt.Sprint(i))
		}
		send(t, b, TextMessage, "next")
		expect(t, b, TextMessage, "0")
		a.Close()
		if got := receive(t, last, "close"); got != 3 {
			t.Fatal(got)
		}
	})
}

func TestAddressAndSubprotocolFromAnyGoroutine(t *testing.T) {
	modes(t, func(t *testing.T, inline bool) {
		type said struct{ conn, addr, subprotocol string }
		told := make(chan said, 1)
		opened := make(chan Conn, 1)
		server := start(t, Config{Inline: inline, Subprotocols: []string{"v2", "v1"}, Handler: HandlerFuncs{
			Open: func(c Conn) {
				told <- said{addr: fmt.Sprint(c.RemoteAddr()), subprotocol: c.Subprotocol()}
				opened <- c
			},
		}})
		conn := dialWith(t, endpoint(server), []string{"v0", "v1"}, nil)
		want := said{addr: conn.LocalAddr().String(), subprotocol: "v1"}
		if got := receive(t, told, "word"); got != want {
			t.Fatalf("in the handler: %v, want %v", got, want)
		}
		c := receive(t, opened, "connection")
		if got := (said{addr: fmt.Sprint(c.RemoteAddr()), subprotocol: c.Subprotocol()}); got != want {
			t.Fatalf("outside: %v, want %v", got, want)
		}
		if conn.Subprotocol() != "v1" {
			t.Fatal(conn.Subprotocol())
		}
	})
}

func TestRoomsAndBroadcast(t *testing.T) {
	modes(t, func(t *testing.T, inline bool) {
		var joined atomic.Int64
		var server *Server
		ready := make(chan struct{})
		server = start(t, Config{Inline: inline, Shards: 2, Handler: HandlerFuncs{
			Message: func(c Conn, kind int, payload []byte) {
				<-ready
				room, text, _ := strings.Cut(string(payload), " ")
				switch text {
				case "join":
					if err := c.Join(room); err != nil {
						t.Error(err)
					}
					joined.Add(1)
				case "leave":
					if err := c.Leave(room); err != nil {
						t.Error(err)
					}
					echo(c, kind, []byte("left"))
				default:
					if err := server.Publish(room, kind, []byte(text)); err != nil {
						t.Error(err)
					}
				}
			},
		}})
		close(ready)
		var red, blue []*websocket.Conn
		for i := range 20 {
			conn := dial(t, server)
			if i%2 == 0 {
				red = append(red, conn)
				send(t, conn, TextMessage, "red join")
			} else {
				blue = append(blue, conn)
				send(t, conn, TextMessage, "blue join")
			}
		}
		eventually(t, "all have joined", func() bool { return joined.Load() == 20 })
		send(t, red[0], TextMessage, "red hello")
		send(t, blue[0], BinaryMessage, "blue world")
		for _, conn := range red {
			expect(t, conn, TextMessage, "hello")
		}
		for _, conn := range blue {
			expect(t, conn, BinaryMessage, "world")
		}
		send(t, red[1], TextMessage, "red leave")
		expect(t, red[1], TextMessage, "left")
		if err := server.Publish("red", TextMessage, []byte("without one")); err != nil {
			t.Fatal(err)
		}
		if err := server.Broadcast(TextMessage, []byte("everybody")); err != nil {
			t.Fatal(err)
		}
		for i, conn := range red {
			if i != 1 {
				expect(t, conn, TextMessage, "without one")
			}
			expect(t, conn, TextMessage, "everybody")
		}
		for _, conn := range blue {
			expect(t, conn, TextMessage, "everybody")
		}
	})
}

func TestCallsOfOneGoroutineTakeEffectInOrder(t *testing.T) {
	const rounds = 300
	talk := func(t *testing.T, c Conn) {
		for i := range rounds {
			for what, err := range map[string]error{
				"write":   c.Write(TextMessage, fmt.Appendf(nil, "%d write", i)),
				"join":    c.Join("room"),
				"publish": c.Server().Publish("room", TextMessage, fmt.Appendf(nil, "%d publish", i)),
				"again":   c.Write(TextMessage, fmt.Appendf(nil, "%d again", i)),
				"leave":   c.Leave("room"),
				"nobody":  c.Server().Publish("room", TextMessage, []byte("nobody should hear this")),
			} {
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
		}
		_ = c.Write(TextMessage, []byte("done"))
		_ = c.Close(CloseNormalClosure, "")
	}
	hear := func(t *testing.T, conn *websocket.Conn) {
		for i := range rounds {
			for _, what := range []string{"write", "publish", "again"} {
				expect(t, conn, TextMessage, fmt.Sprint(i, " ", what))
			}
		}
		expect(t, conn, TextMessage, "done")
		expectClose(t, conn, CloseNormalClosure, "")
	}
	modes(t, func(t *testing.T, inline bool) {
		opened := make(chan Conn, 1)
		server := start(t, Config{Inline: inline, Shards: 2, Handler: HandlerFuncs{
			Open:    func(c Conn) { opened <- c },
			Message: func(c Conn, kind int, payload []byte) { talk(t, c) },
		}})
		t.Run("in the handler", func(t *testing.T) {
			conn := dial(t, server)
			receive(t, opened, "connection")
			send(t, conn, TextMessage, "go")
			hear(t, conn)
		})
		t.Run("outside", func(t *testing.T) {
			conn := dial(t, server)
			c := receive(t, opened, "connection")
			go talk(t, c)
			hear(t, conn)
		})
	})
}

func TestSlowReaderIsClosed(t *testing.T) {
	modes(t, func(t *testing.T, inline bool) {
		opened := make(chan Conn, 1)
		closed := make(chan error, 1)
		dropped := make(chan error, 1)
		server := start(t, Config{
			Inline: inline, MaxOutboxBytes: 64 << 10, CloseTimeout: 100 * time.Millisecond, WriteTimeout: time.Second,
			Handler: HandlerFuncs{
				Open:  func(c Conn) { opened <- c },
				Close: func(c Conn, err error) { closed <- err },
				Dropped: func(c Conn, messages int, err error) {
					select {
					case dropped <- err:
					default:
					}
				},
			},
		})
		dial(t, server) // and never read
		c := receive(t, opened, "connection")
		payload := make([]byte, 32<<10)
		for {
			if err := c.Write(BinaryMessage, payload); errors.Is(err, ErrGone) {
				break
			} else if err != nil && !errors.Is(err, ErrBackpressure) {
				t.Fatal(err)
			}
		}
		receive(t, closed, "close")
		if err := receive(t, dropped, "word of dropped messages"); !errors.Is(err, ErrBackpressure) && !errors.Is(err, ErrGone) {
			t.Fatal(err)
		}
	})
}

func TestMailboxIsBounded(t *testing.T) {
	// The driver is kept busy, so that nothing of what others write is taken.
	block, blocked := make(chan struct{}), make(chan struct{})
	opened := make(chan Conn, 1)
	server := start(t, Config{Inline: true, Shards: 1, MaxMailboxBytes: 1 << 20, Handler: HandlerFuncs{
		Open:    func(c Conn) { opened <- c },
		Message: func(c Conn, kind int, payload []byte) { close(blocked); <-block },
	}})
	conn := dial(t, server)
	c := receive(t, opened, "connection")
	send(t, conn, TextMessage, "block")
	receive(t, blocked, "blocking")
	taken := 0
	for taken < 100 && c.Write(BinaryMessage, make([]byte, 100<<10)) == nil {
		taken++
	}
	if err := c.Write(BinaryMessage, make([]byte, 100<<10)); !errors.Is(err, ErrBackpressure) || taken != 10 {
		t.Fatalf("after %d: %v", taken, err)
	}
	close(block)
	for range taken {
		if _, got, err := conn.ReadMessage(); err != nil || len(got) != 100<<10 {
			t.Fatal(len(got), err)
		}
	}
	eventually(t, "there is room again", func() bool { return c.Write(TextMessage, []byte("again")) == nil })
	expect(t, conn, TextMessage, "again")
}

func TestShutdown(t *testing.T) {
	t.Run("closes with 1001 after what is queued", func(t *testing.T) {
		modes(t, func(t *testing.T, inline bool) {
			opened, closed := make(chan Conn, 1), make(chan error, 1)
			server := start(t, Config{Inline: inline, Handler: HandlerFuncs{
				Open:  func(c Conn) { opened <- c },
				Close: func(c Conn, err error) { closed <- err },
			}})
			conn := dial(t, server)
			c := receive(t, opened, "connection")
			if err := c.Write(TextMessage, []byte("last")); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- server.Shutdown(context.Background()) }()
			expect(t, conn, TextMessage, "last")
			expectClose(t, conn, CloseGoingAway, "server is shutting down")
			if err := receive(t, done, "end"); err != nil {
				t.Fatal(err)
			}
			receive(t, closed, "close")
			for name, err := range map[string]error{
				"Write":     c.Write(TextMessage, nil),
				"Publish":   server.Publish("room", TextMessage, nil),
				"Broadcast": server.Broadcast(TextMessage, nil),
				"Close":     c.Close(1000, ""),
			} {
				if !errors.Is(err, ErrServerClosed) && !errors.Is(err, ErrGone) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if err := server.Wait(); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("waits for a handler until the context ends", func(t *testing.T) {
		release, called := make(chan struct{}), make(chan struct{})
		server := start(t, Config{Handler: HandlerFuncs{
			Message: func(c Conn, kind int, payload []byte) { close(called); <-release },
		}})
		send(t, dial(t, server), TextMessage, "block")
		receive(t, called, "call")
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if err := server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		close(release)
	})
	t.Run("comes with the end of the context of Listen", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		server, err := Listen(ctx, Config{Addr: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		conn := dial(t, server)
		cancel()
		expectClose(t, conn, CloseGoingAway, "server is shutting down")
		if err := server.Wait(); err != nil {
			t.Fatal(err)
		}
		if _, err := Listen(ctx, Config{Addr: "127.0.0.1:0"}); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	})
	t.Run("can be cut short", func(t *testing.T) {
		server := start(t, Config{})
		dial(t, server)
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
		if err := server.Wait(); err != nil {
			t.Fatal(err)
		}
	})
}
