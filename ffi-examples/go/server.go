// Package wspoll is a WebSocket server (RFC 6455) for programs that hold many connections: no goroutine and no Go memory per
// idle connection, one system call for all the answers to what one read brought.
//
//	server, err := wspoll.Listen(ctx, wspoll.Config{
//		Addr: "127.0.0.1:8000",
//		Handler: wspoll.HandlerFuncs{
//			Message: func(c wspoll.Conn, kind int, payload []byte) { c.Write(kind, payload) },
//		},
//	})
//
// The connections are owned by shards, event loops written in Rust; a goroutine per shard, locked to a thread, drives it. One
// call into C brings up to 1,024 events, one takes all answers to them back. C never calls Go.
//
// Handlers run on goroutines, in order for each connection, or inline on the goroutine that drives the shard: see [Handler].
// Every [Conn] and [Server] method may be called from any goroutine.
//
// A program that has an HTTP server already uses the Server as an [http.Handler], or calls [Server.Upgrade].
//
// The names are those of gorilla/websocket where it has one. What differs: there is no read loop, messages come to the
// handler; writes are queued, so there may be many writers; and a slow reader costs a fixed amount of memory.
package wspoll

// #include <stdlib.h>
// #include <wspoll.h>
import "C"

import (
	"context"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

//go:generate make lib

// A Server is a running server.
type Server struct {
	native       *C.wsp_server
	config       Config
	hooks        HandlerFuncs
	shards       []*shard
	mailboxBytes int
	closesSlow   bool
	addrs        []net.Addr
	stopping     atomic.Bool
	done         chan struct{}
	err          error

	adoptedMu   sync.Mutex
	adopted     map[uintptr]*Accept
	lastAdopted uintptr
}

// Listen starts a server. It stops when the context ends, as by [Server.Shutdown] with the drain timeout.
//
// Errors: a [*SettingError] if the configuration is wrong; what the system says, if an address cannot be listened on.
func Listen(ctx context.Context, config Config) (*Server, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if config.QueueBytes == 0 {
		config.QueueBytes = defaultQueueBytes
	}
	nativeConfig, err := config.native()
	if err != nil {
		return nil, err
	}
	defer C.wsp_config_free(nativeConfig)
	s := &Server{
		config:       config,
		hooks:        hooksOf(config.Handler),
		mailboxBytes: config.MaxMailboxBytes,
		closesSlow:   config.Settings["slow_consumer"] == "" || config.Settings["slow_consumer"] == "close",
		done:         make(chan struct{}),
		adopted:      make(map[uintptr]*Accept),
	}
	if s.mailboxBytes <= 0 {
		s.mailboxBytes = defaultMailboxBytes
	}
	if err := explained(C.wsp_server_start_hosted(nativeConfig, &s.native)); err != nil {
		return nil, err
	}
	runtime.AddCleanup(s, func(native *C.wsp_server) { C.wsp_server_free(native) }, s.native)
	s.addrs = s.listening()
	for index := range int(C.wsp_server_shards(s.native)) {
		s.shards = append(s.shards, newShard(s, index))
	}
	for _, shard := range s.shards {
		go shard.run()
	}
	detach := context.AfterFunc(ctx, func() { s.stop(s.drainTimeout()) })
	go func() {
		for _, shard := range s.shards {
			<-shard.done
			if s.err == nil {
				s.err = shard.err
			}
		}
		for _, shard := range s.shards {
			shard.workers.busy.Wait()
		}
		detach()
		close(s.done)
	}()
	return s, nil
}

// defaultDrainTimeout is the library's default of drain_timeout; a test compares them.
const defaultDrainTimeout = 10 * time.Second

func (s *Server) drainTimeout() time.Duration {
	switch {
	case s.config.DrainTimeout > 0:
		return s.config.DrainTimeout
	case s.config.DrainTimeout < 0:
		return 0
	default:
		return defaultDrainTimeout
	}
}

func (s *Server) listening() []net.Addr {
	var addrs []net.Addr
	buffer := make([]byte, 128)
	for index := 0; ; index++ {
		at := (*C.char)(bytesPointer(buffer))
		if C.wsp_server_local_addr(s.native, C.uint32_t(index), at, C.size_t(len(buffer))) != C.WSP_STATUS_OK {
			return addrs
		}
		if path, isUnix := strings.CutPrefix(C.GoString(at), "unix:"); isUnix {
			addrs = append(addrs, &net.UnixAddr{Name: path, Net: "unix"})
			continue
		}
		host, port, err := net.SplitHostPort(C.GoString(at))
		if err != nil {
			return addrs
		}
		number, _ := strconv.Atoi(port)
		addrs = append(addrs, &net.TCPAddr{IP: net.ParseIP(host), Port: number})
	}
}

// Addr returns the first address that is listened on, with the port that the system chose; nil if there is none.
func (s *Server) Addr() net.Addr {
	if len(s.addrs) == 0 {
		return nil
	}
	return s.addrs[0]
}

// Addrs returns all addresses that are listened on.
func (s *Server) Addrs() []net.Addr { return append([]net.Addr(nil), s.addrs...) }

// Conn returns the connection of this name. It may have ended: then its methods say so.
func (s *Server) Conn(id ConnID) Conn {
	index := int(C.wsp_conn_shard(C.wsp_conn_id(id)))
	if index >= len(s.shards) {
		return Conn{}
	}
	return Conn{s.shards[index], id}
}

// Connections returns how many connections are open.
func (s *Server) Connections() int {
	defer runtime.KeepAlive(s)
	return int(C.wsp_server_connections(s.native))
}

// Publish sends a message to every connection in a room, encoded once. A connection that takes too little of what it is
// sent meets the setting "slow_consumer".
//
// Errors: [ErrBackpressure], and nobody gets the message; [ErrServerClosed]; [ErrInvalidArgument].
func (s *Server) Publish(room string, kind int, payload []byte) error {
	name, err := text(room)
	if err != nil {
		return err
	}
	data, size := bytesOf(payload)
	return s.postAll(func() C.wsp_status {
		return C.wsp_server_publish(s.native, name, C.wsp_message_kind(kind), data, size)
	})
}

// Broadcast sends a message to every connection. Otherwise it is like Publish.
func (s *Server) Broadcast(kind int, payload []byte) error {
	data, size := bytesOf(payload)
	return s.postAll(func() C.wsp_status {
		return C.wsp_server_broadcast(s.native, C.wsp_message_kind(kind), data, size)
	})
}

// Shutdown ends the server: nothing more is accepted, every connection is closed with 1001 after what waits for it, and
// its handler sees that. It returns when all handlers have returned. When the context ends first, what is left is cut off, and
// Shutdown returns the context's error without waiting for handlers.
//
// A handler must not wait for it.
func (s *Server) Shutdown(ctx context.Context) error {
	// The library's own deadline is a net under the context's.
	patience := 24 * time.Hour
	if deadline, ok := ctx.Deadline(); ok {
		patience = time.Until(deadline)
	}
	s.stop(patience)
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		s.stop(0)
		for _, shard := range s.shards {
			if !shard.isDriver() {
				<-shard.done
			}
		}
		return ctx.Err()
	}
}

// Close ends the server without ceremony: connections are cut.
func (s *Server) Close() error {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.Shutdown(ended)
	return nil
}

// Wait returns when the server has ended and all handlers have returned: nil after Shutdown, Close and the end of the
// context.
func (s *Server) Wait() error {
	<-s.done
	return s.err
}

func (s *Server) stop(patience time.Duration) {
	ms := min(max(patience, 0)/time.Millisecond, 1<<31)
	s.stopping.Store(true)
	_ = s.postAll(func() C.wsp_status { return C.wsp_server_drain(s.native, C.uint32_t(ms)) })
}

// isAnyDriver says whether the caller drives one of the server's shards.
func (s *Server) isAnyDriver() bool {
	for _, shard := range s.shards {
		if shard.isDriver() {
			return true
		}
	}
	return false
}
