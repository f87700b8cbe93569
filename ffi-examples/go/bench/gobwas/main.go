// Command gobwas is an echo server on gobwas/ws over epoll, to measure against: no goroutine per connection. It is what the
// well-known "million connections" articles build: readiness by epoll, then blocking calls on the connection.
package main

import (
	"flag"
	"log"
	"net"
	"sync"
	"syscall"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

type loop struct {
	epoll int
	mu    sync.Mutex
	conns map[int]net.Conn
}

func main() {
	addr := flag.String("listen", "127.0.0.1:8000", "address to listen on")
	flag.Parse()
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		log.Fatal(err)
	}
	l := &loop{epoll: epoll, conns: make(map[int]net.Conn)}
	go l.run()
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		if _, err := ws.Upgrade(conn); err != nil {
			conn.Close()
			continue
		}
		if err := l.add(conn); err != nil {
			conn.Close()
		}
	}
}

func (l *loop) add(conn net.Conn) error {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	var addErr error
	err = raw.Control(func(fd uintptr) {
		l.mu.Lock()
		l.conns[int(fd)] = conn
		l.mu.Unlock()
		event := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLHUP, Fd: int32(fd)}
		addErr = syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, int(fd), &event)
	})
	if err != nil {
		return err
	}
	return addErr
}

func (l *loop) run() {
	events := make([]syscall.EpollEvent, 1024)
	for {
		n, err := syscall.EpollWait(l.epoll, events, -1)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		for _, event := range events[:n] {
			fd := int(event.Fd)
			l.mu.Lock()
			conn := l.conns[fd]
			l.mu.Unlock()
			payload, op, err := wsutil.ReadClientData(conn)
			if err == nil {
				err = wsutil.WriteServerMessage(conn, op, payload)
			}
			if err != nil {
				// Closing takes the descriptor out of epoll; another may have its number then.
				l.mu.Lock()
				delete(l.conns, fd)
				l.mu.Unlock()
				conn.Close()
			}
		}
	}
}
