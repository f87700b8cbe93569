package wspoll

// #include <stdlib.h>
// #include <wspoll.h>
import "C"

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"syscall"
	"unsafe"
)

// A Poller tells which of many connections have something to read (epoll, kqueue, IOCP), without a goroutine for each.
// It is level-triggered: a connection is reported by every Wait until it has been read empty.
//
// Add, Remove and Close may be called from any goroutine, also while another is in Wait. Wait itself is for one goroutine
// at a time; it occupies a thread while it waits.
type Poller struct {
	native *C.wsp_poller
	waits  sync.Mutex
	ready  unsafe.Pointer // C memory, for room entries
	room   int

	mu     sync.Mutex
	conns  map[uintptr]net.Conn
	fds    map[net.Conn]uintptr
	closed bool
}

// NewPoller makes a Poller.
func NewPoller() (*Poller, error) {
	p := &Poller{conns: make(map[uintptr]net.Conn), fds: make(map[net.Conn]uintptr)}
	if err := explain(func() C.wsp_status { return C.wsp_poller_new(&p.native) }); err != nil {
		return nil, err
	}
	return p, nil
}

// Add watches a connection that has a descriptor: a [net.TCPConn], a [net.UnixConn], or whatever is a [syscall.Conn]. It must
// be removed before it is closed.
func (p *Poller) Add(conn net.Conn) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return net.ErrClosed
	}
	if _, known := p.fds[conn]; known {
		return fmt.Errorf("%w: the connection is watched already", ErrInvalidArgument)
	}
	return control(conn, func(fd uintptr) error {
		err := explain(func() C.wsp_status {
			return C.wsp_poller_add(p.native, C.wsp_fd(fd), C.uint64_t(fd), C.WSP_INTEREST_READ, C.WSP_POLL_MODE_LEVEL)
		})
		if err == nil {
			p.conns[fd], p.fds[conn] = conn, fd
		}
		return err
	})
}

// Remove watches a connection no more.
func (p *Poller) Remove(conn net.Conn) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return net.ErrClosed
	}
	fd, known := p.fds[conn]
	if !known {
		return fmt.Errorf("%w: the connection is not watched", ErrInvalidArgument)
	}
	delete(p.conns, fd)
	delete(p.fds, conn)
	return control(conn, func(fd uintptr) error {
		return explain(func() C.wsp_status { return C.wsp_poller_remove(p.native, C.wsp_fd(fd)) })
	})
}

// Wait waits until connections have something to read, or have ended, and returns at most count of them. After Close it
// returns [net.ErrClosed].
func (p *Poller) Wait(count int) ([]net.Conn, error) {
	if count <= 0 {
		return nil, fmt.Errorf("%w: count is %d", ErrInvalidArgument, count)
	}
	p.waits.Lock()
	defer p.waits.Unlock()
	for {
		p.mu.Lock()
		closed := p.closed
		p.mu.Unlock()
		if closed {
			return nil, net.ErrClosed
		}
		if p.room < count {
			C.free(p.ready)
			p.ready = C.calloc(C.size_t(count), C.sizeof_wsp_ready)
			p.room = count
		}
		var n C.size_t
		err := explain(func() C.wsp_status {
			return C.wsp_poller_wait(p.native, (*C.wsp_ready)(p.ready), C.size_t(count), -1, &n)
		})
		if err != nil {
			return nil, err
		}
		conns := make([]net.Conn, 0, int(n))
		p.mu.Lock()
		for _, ready := range unsafe.Slice((*C.wsp_ready)(p.ready), int(n)) {
			if conn, known := p.conns[uintptr(ready.key)]; known {
				conns = append(conns, conn)
			}
		}
		p.mu.Unlock()
		// A wake-up, or only connections that were removed meanwhile.
		if len(conns) > 0 {
			return conns, nil
		}
	}
}

// Close ends Wait and lets go of the connections, which stay open.
func (p *Poller) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return net.ErrClosed
	}
	p.closed = true
	C.wsp_poller_notify(p.native)
	p.mu.Unlock()
	// Whoever waits has left after this.
	p.waits.Lock()
	defer p.waits.Unlock()
	C.wsp_poller_free(p.native)
	C.free(p.ready)
	p.ready, p.room = nil, 0
	p.conns, p.fds = nil, nil
	runtime.KeepAlive(p)
	return nil
}

var errNoDescriptor = errors.New("wspoll: the connection has no descriptor of its own (TLS, or a wrapper)")

// control calls with the descriptor, which stays open meanwhile.
func control(conn net.Conn, call func(fd uintptr) error) error {
	source, ok := conn.(syscall.Conn)
	if !ok {
		return errNoDescriptor
	}
	raw, err := source.SyscallConn()
	if err != nil {
		return err
	}
	var called error
	if err := raw.Control(func(fd uintptr) { called = call(fd) }); err != nil {
		return err
	}
	return called
}
