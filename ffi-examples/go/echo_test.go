package wspoll

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestEchoesTextAndBinaryOfEverySize(t *testing.T) {
	modes(t, func(t *testing.T, inline bool) {
		server := start(t, Config{Inline: inline, ReadLimit: 4 << 20, Handler: HandlerFuncs{Message: echo}})
		conn := dial(t, server)
		for _, size := range []int{0, 1, 125, 126, 65535, 65536, segmentBytes - 1, segmentBytes + 1, 3 << 20} {
			payload := strings.Repeat("ä", size/2) + strings.Repeat("x", size%2)
			send(t, conn, TextMessage, payload)
			expect(t, conn, TextMessage, payload)
			send(t, conn, BinaryMessage, payload)
			expect(t, conn, BinaryMessage, payload)
		}
	})
}

func TestKeepsTheOrderOfEachConnection(t *testing.T) {
	modes(t, func(t *testing.T, inline bool) {
		server := start(t, Config{Inline: inline, Shards: 2, Handler: HandlerFuncs{Message: echo}})
		var clients sync.WaitGroup
		for client := range 8 {
			conn := dial(t, server)
			clients.Add(2)
			const count = 3000
			go func() {
				defer clients.Done()
				for i := range count {
					if err := conn.WriteMessage(TextMessage, fmt.Appendf(nil, "%d of %d", i, client)); err != nil {
						t.Error(err)
						return
					}
				}
			}()
			go func() {
				defer clients.Done()
				for i := range count {
					_, got, err := conn.ReadMessage()
					if want := fmt.Sprintf("%d of %d", i, client); err != nil || string(got) != want {
						t.Errorf("got %q %v, want %q", got, err, want)
						return
					}
				}
			}()
		}
		clients.Wait()
	})
}

func TestPayloadsOfOneBatchStayWhole(t *testing.T) {
	// More than a batch of events, and more answers than a segment holds, come of one write.
	modes(t, func(t *testing.T, inline bool) {
		server := start(t, Config{Inline: inline, Shards: 1, Handler: HandlerFuncs{
			Message: func(c Conn, kind int, payload []byte) {
				twice := append(bytes.Clone(payload), payload...)
				if err := c.WriteMany(kind, payload, twice); err != nil {
					t.Error(err)
				}
				clear(twice) // it was copied
			},
		}})
		conn := dial(t, server)
		const count = 5000
		go func() {
			for i := range count {
				_ = conn.WriteMessage(BinaryMessage, bytes.Repeat([]byte{byte(i)}, 1+i%100))
			}
		}()
		for i := range count {
			want := strings.Repeat(string([]byte{byte(i)}), 1+i%100)
			expect(t, conn, BinaryMessage, want)
			expect(t, conn, BinaryMessage, want+want)
		}
	})
}

func TestSlowHandlerDelaysItsOwnConnectionOnly(t *testing.T) {
	release := make(chan struct{})
	server := start(t, Config{Shards: 1, Handler: HandlerFuncs{
		Message: func(c Conn, kind int, payload []byte) {
			if string(payload) == "wait" {
				<-release
			}
			echo(c, kind, payload)
		},
	}})
	var slow []*websocket.Conn
	for range 10 {
		conn := dial(t, server)
		send(t, conn, TextMessage, "wait")
		send(t, conn, TextMessage, "after")
		slow = append(slow, conn)
	}
	fast := dial(t, server)
	for i := range 100 {
		send(t, fast, TextMessage, fmt.Sprint(i))
		expect(t, fast, TextMessage, fmt.Sprint(i))
	}
	close(release)
	for _, conn := range slow {
		expect(t, conn, TextMessage, "wait")
		expect(t, conn, TextMessage, "after")
	}
}

func TestWritesOfABlockedHandlerLeave(t *testing.T) {
	release := make(chan struct{})
	server := start(t, Config{Handler: HandlerFuncs{
		Message: func(c Conn, kind int, payload []byte) {
			echo(c, kind, payload)
			<-release
		},
	}})
	conn := dial(t, server)
	send(t, conn, TextMessage, "now")
	expect(t, conn, TextMessage, "now")
	close(release)
}

func TestQueueOfASlowHandlerIsBounded(t *testing.T) {
	release := make(chan struct{})
	var seen atomic.Int64
	server := start(t, Config{Shards: 1, QueueBytes: 32 << 10, Handler: HandlerFuncs{
		Message: func(c Conn, kind int, payload []byte) {
			<-release
			seen.Add(int64(len(payload)))
			if len(payload) == 3 {
				echo(c, kind, payload)
			}
		},
	}})
	before := heap()
	conn := dial(t, server)
	// In any case more than the kernel's buffers hold.
	const size = 4096
	count := int64(10_000)
	if testing.Short() {
		count = 3_000
	}
	written := make(chan error, 1)
	var accepted atomic.Int64
	go func() {
		payload := make([]byte, size)
		for range count {
			if err := conn.WriteMessage(BinaryMessage, payload); err != nil {
				written <- err
				return
			}
			accepted.Add(1)
		}
		written <- conn.WriteMessage(TextMessage, []byte("end"))
	}()
	// It stands still: what the kernel's buffers hold has been sent.
	for last := int64(-1); accepted.Load() != last; time.Sleep(300 * time.Millisecond) {
		last = accepted.Load()
	}
	if accepted.Load() >= count {
		t.Fatal("nothing held the client up")
	}
	if grown := int64(heap()) - int64(before); grown > 4<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	close(release)
	if err := receive(t, written, "end of writing"); err != nil {
		t.Fatal(err)
	}
	expect(t, conn, TextMessage, "end")
	if want := count*size + 3; seen.Load() != want {
		t.Fatalf("%d bytes came, want %d", seen.Load(), want)
	}
}

func TestManyGoroutinesWriteWhileConnectionsComeAndGo(t *testing.T) {
	modes(t, func(t *testing.T, inline bool) {
		var conns sync.Map
		server := start(t, Config{Inline: inline, Shards: 2, Handler: HandlerFuncs{
			Open:    func(c Conn) { conns.Store(c, nil) },
			Message: echo,
			Close:   func(c Conn, err error) { conns.Delete(c) },
		}})
		ctx, cancel := context.WithCancel(context.Background())
		var all sync.WaitGroup
		for range 4 {
			all.Add(1)
			go func() {
				defer all.Done()
				for ctx.Err() == nil {
					conns.Range(func(key, _ any) bool {
						c := key.(Conn)
						_ = c.SetValue(1)
						_ = c.Join("room")
						_ = c.Write(TextMessage, []byte("push"))
						_ = c.Value()
						_ = c.RemoteAddr()
						return true
					})
					_ = server.Publish("room", BinaryMessage, []byte("published"))
					time.Sleep(time.Millisecond)
				}
			}()
		}
		var dialing sync.WaitGroup
		for range 4 {
			dialing.Add(1)
			go func() {
				defer dialing.Done()
				for range 25 {
					conn, _, err := websocket.DefaultDialer.Dial(endpoint(server), nil)
					if err != nil {
						t.Error(err)
						return
					}
					deadline(conn)
					for range rand.IntN(10) {
						_ = conn.WriteMessage(TextMessage, []byte("ping"))
						_, _, _ = conn.ReadMessage()
					}
					conn.Close()
				}
			}()
		}
		dialing.Wait()
		cancel()
		all.Wait()
		eventually(t, "all connections end", func() bool { return server.Connections() == 0 })
		for _, shard := range server.shards {
			eventually(t, "no value is kept", func() bool {
				shard.mu.Lock()
				defer shard.mu.Unlock()
				return len(shard.values) == 0
			})
		}
	})
}

// With one processor the driver has to make room for the handlers: it must neither wait nor spin while they are due.
func TestOneProcessorIsEnough(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	modes(t, func(t *testing.T, inline bool) {
		server := start(t, Config{Inline: inline, Handler: HandlerFuncs{Message: echo}})
		conn := dial(t, server)
		for i := range 2000 {
			send(t, conn, TextMessage, fmt.Sprint(i))
			expect(t, conn, TextMessage, fmt.Sprint(i))
		}
	})
}
