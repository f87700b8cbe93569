package wspoll

// #include <wspoll.h>
import "C"

import (
	"fmt"
	"net"
	"net/netip"
	"unsafe"
)

// A ConnID names a connection of a server. No two connections ever have the same; 0 is nobody.
type ConnID uint64

// A Conn is a connection. It is a small value: copy it, compare it, keep it as long as you like, use it from any goroutine.
// After its connection has ended, its methods return [ErrGone].
//
// Calls of one goroutine take effect in their order. None blocks on the network.
type Conn struct {
	shard *shard
	id    ConnID
}

// ID returns the connection's name; [Server.Conn] turns it into a Conn again.
func (c Conn) ID() ConnID { return c.id }

// Server returns the server of the connection.
func (c Conn) Server() *Server {
	if c.shard == nil {
		return nil
	}
	return c.shard.server
}

// Write queues a message; kind is [TextMessage] or [BinaryMessage], and the payload may be reused on return. [PingMessage] sends
// a ping of at most 125 bytes; [CloseMessage] closes, with a payload of [FormatCloseMessage].
//
// Everything that is queued during one batch of events leaves together, at the latest when the handlers of the batch have
// returned.
//
// Nil means queued. A message that is dropped later is reported to a [DroppedHandler]: the connection ended before ([ErrGone]),
// or takes less than it is sent and has MaxOutboxBytes waiting ([ErrBackpressure]); unless the setting "slow_consumer" says
// otherwise, the connection is then closed with 1008.
//
// Errors: [ErrGone]; [ErrBackpressure], if MaxMailboxBytes wait for the connection's shard; [ErrServerClosed];
// [ErrInvalidArgument].
func (c Conn) Write(kind int, payload []byte) error {
	s := c.shard
	if s == nil {
		return ErrGone
	}
	if uint(kind-TextMessage) > BinaryMessage-TextMessage {
		return c.control(kind, payload)
	}
	if !s.isDriver() {
		return s.queue(c.id, kind, payload)
	}
	if s.local.push(c.id, kind, payload) {
		return nil
	}
	return s.overflow(c.id, kind, payload)
}

// WriteMany queues several messages of one kind at once: all of them, or none.
func (c Conn) WriteMany(kind int, payloads ...[]byte) error {
	s := c.shard
	if s == nil {
		return ErrGone
	}
	if kind != TextMessage && kind != BinaryMessage {
		return fmt.Errorf("%w: messages are text or binary", ErrInvalidArgument)
	}
	if !s.isDriver() {
		return s.queue(c.id, kind, payloads...)
	}
	for _, payload := range payloads {
		if err := c.Write(kind, payload); err != nil {
			return err
		}
	}
	return nil
}

// overflow sends what has no room beside what is queued already. On the driving goroutine.
func (s *shard) overflow(to ConnID, kind int, payload []byte) error {
	s.flush()
	if s.local.push(to, kind, payload) {
		return nil
	}
	data, size := bytesOf(payload)
	if kind == TextMessage {
		return failure(C.wsp_server_send_text(s.native, C.wsp_conn_id(to), data, size))
	}
	return failure(C.wsp_server_send_binary(s.native, C.wsp_conn_id(to), data, size))
}

func (c Conn) control(kind int, payload []byte) error {
	switch kind {
	case PingMessage:
		return c.Ping(payload)
	case CloseMessage:
		code, reason, err := parseCloseMessage(payload)
		if err != nil {
			return err
		}
		return c.Close(code, reason)
	default:
		return fmt.Errorf("%w: %d is no kind of message to send", ErrInvalidArgument, kind)
	}
}

// post makes a call that concerns this connection.
func (c Conn) post(call func(server *C.wsp_server, id C.wsp_conn_id) C.wsp_status) error {
	if c.shard == nil {
		return ErrGone
	}
	return c.shard.post(func() C.wsp_status { return call(c.shard.native, C.wsp_conn_id(c.id)) })
}

// Ping sends a ping, to which a [PongHandler] gets the answer. The payload has at most 125 bytes.
func (c Conn) Ping(payload []byte) error {
	return c.post(func(server *C.wsp_server, id C.wsp_conn_id) C.wsp_status {
		data, size := bytesOf(payload)
		return C.wsp_server_ping(server, id, data, size)
	})
}

// Close begins the closing handshake, after what is queued. The reason has at most 123 bytes. [Handler.OnClose] follows.
func (c Conn) Close(code int, reason string) error {
	if code < 0 || code > 1<<16-1 {
		return fmt.Errorf("%w: %d is no close code", ErrInvalidArgument, code)
	}
	why, err := text(reason)
	if err != nil {
		return err
	}
	return c.post(func(server *C.wsp_server, id C.wsp_conn_id) C.wsp_status {
		return C.wsp_server_close(server, id, C.uint16_t(code), why)
	})
}

// Join puts the connection into a room, to which [Server.Publish] sends. Rooms exist while somebody is in them.
func (c Conn) Join(room string) error {
	name, err := text(room)
	if err != nil {
		return err
	}
	return c.post(func(server *C.wsp_server, id C.wsp_conn_id) C.wsp_status {
		return C.wsp_server_join(server, id, name)
	})
}

// Leave takes the connection out of a room. Its end takes it out of all.
func (c Conn) Leave(room string) error {
	name, err := text(room)
	if err != nil {
		return err
	}
	return c.post(func(server *C.wsp_server, id C.wsp_conn_id) C.wsp_status {
		return C.wsp_server_leave(server, id, name)
	})
}

// SetValue keeps a value with the connection until its end; nil takes it away. Connections without one cost nothing.
func (c Conn) SetValue(value any) error {
	s := c.shard
	if s == nil {
		return ErrGone
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// Under the lock: its end is known to the library before the driver takes the lock to forget the value.
	if s.closed || !s.server.isAlive(c.id) {
		return ErrGone
	}
	if value == nil {
		delete(s.values, c.id)
	} else {
		s.values[c.id] = value
	}
	return nil
}

// Value returns what SetValue or [Accept.Value] keeps with the connection, or nil. It is still there in [Handler.OnClose].
func (c Conn) Value() any {
	if c.shard == nil {
		return nil
	}
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	return c.shard.values[c.id]
}

// RemoteAddr returns the other end's address, a [*net.UnixAddr] without a name for a Unix socket, or nil if the connection
// has ended. Where the Handler does not run inline, it asks the driving goroutine; an inline handler gets nil for connections
// of other shards than its own.
func (c Conn) RemoteAddr() net.Addr {
	info, ok := c.info()
	if !ok {
		return nil
	}
	return info.remote
}

// Subprotocol returns the subprotocol that was agreed on, if any. What is said of RemoteAddr holds here too.
func (c Conn) Subprotocol() string {
	info, _ := c.info()
	return info.subprotocol
}

type connInfo struct {
	remote      net.Addr
	subprotocol string
}

func (c Conn) info() (connInfo, bool) {
	s := c.shard
	if s == nil {
		return connInfo{}, false
	}
	var info connInfo
	var status C.wsp_status
	ask := func() { info, status = s.info(c.id) }
	ask()
	if status == C.WSP_STATUS_WRONG_THREAD && !s.server.isAnyDriver() {
		answered := make(chan struct{})
		if s.do(func() { ask(); close(answered) }) {
			<-answered
		}
	}
	return info, status == C.WSP_STATUS_OK
}

// info asks the library, which answers on the shard's thread only.
func (s *shard) info(id ConnID) (connInfo, C.wsp_status) {
	native := C.wsp_conn_info{size: C.sizeof_wsp_conn_info}
	status := C.wsp_server_conn_info(s.native, C.wsp_conn_id(id), &native)
	if status != C.WSP_STATUS_OK {
		return connInfo{}, status
	}
	var info connInfo
	switch ip, err := netip.ParseAddr(C.GoString(&native.peer_ip[0])); {
	case native.peer_ip[0] == 0:
		// As package net has it: clients of Unix sockets have no names.
		info.remote = &net.UnixAddr{Net: "unix"}
	case err == nil:
		info.remote = net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, uint16(native.peer_port)))
	}
	if native.subprotocol != nil {
		info.subprotocol = string(unsafe.Slice((*byte)(unsafe.Pointer(native.subprotocol)), int(native.subprotocol_len)))
	}
	return info, status
}
