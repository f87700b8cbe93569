package wspoll

// #include <stdlib.h>
// #include <wspoll.h>
//
// #cgo noescape wsp_client_send
// #cgo nocallback wsp_client_send
// #cgo noescape wsp_client_recv
// #cgo nocallback wsp_client_recv
import "C"

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
	"unsafe"
)

// A ClientConn is the client's end of a connection; [Dial] makes one. With [DialOptions.Reconnect] it is one connection after
// another.
//
// Any number of goroutines may write and close at once; those that read take turns. A connection that is not read from reads
// nothing when DialOptions.MaxInboxBytes wait, so the server is held up by the network. No goroutine and no thread of its own
// belongs to it. Close it when it is no longer needed, also after its end.
type ClientConn struct {
	token uint64
	// Held for reading by every call into the library, so that Close does not free what another uses.
	life   sync.RWMutex
	native *C.wsp_client

	readMu, writeMu    sync.Mutex
	readable, writable chan struct{} // each holds a signal at most
	closed             chan struct{}

	mu                          sync.Mutex
	subprotocol                 string
	readDeadline, writeDeadline time.Time
	end                         error
}

// ClientEventKind says what happened to a [ClientConn].
type ClientEventKind int

// Kinds of client events.
const (
	ClientConnected    ClientEventKind = 1 // a connection is open
	ClientMessage      ClientEventKind = 2 // a message came
	ClientPong         ClientEventKind = 3 // the answer to a ping came
	ClientDisconnected ClientEventKind = 4 // a connection has ended, or could not be made
)

// A ClientEvent is something that happened to a [ClientConn].
type ClientEvent struct {
	Kind        ClientEventKind
	MessageType int           // of a message: TextMessage or BinaryMessage
	Data        []byte        // of a message or a pong
	Subprotocol string        // of a new connection
	Err         error         // of an end: a *CloseError, or why there was no connection (see Dial)
	RetryIn     time.Duration // of an end: until the next connection is tried; negative if that was the last
}

// ReadMessage waits for the next message. Ends between connections are passed over; the last is returned as a
// [*CloseError], also later. Errors: [os.ErrDeadlineExceeded], which spoils nothing; [ErrGone] after Close.
func (c *ClientConn) ReadMessage() (messageType int, data []byte, err error) {
	for {
		event, err := c.ReadEvent()
		if err != nil {
			return 0, nil, err
		}
		if event.Kind == ClientMessage {
			return event.MessageType, event.Data, nil
		}
	}
}

// ReadEvent waits for the next thing that happens. The last event, a ClientDisconnected with a negative RetryIn, is followed
// by its Err. Errors otherwise as ReadMessage.
func (c *ClientConn) ReadEvent() (ClientEvent, error) {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	for {
		event, status := c.take()
		switch status {
		case C.WSP_STATUS_OK:
			return event, nil
		case C.WSP_STATUS_TIMED_OUT:
		case C.WSP_STATUS_GONE:
			return ClientEvent{}, c.over()
		default:
			return ClientEvent{}, failure(status)
		}
		if err := c.wait(c.readable, &c.readDeadline); err != nil {
			return ClientEvent{}, err
		}
	}
}

// Events delivers what happens until the end, or until ctx is done; then the channel is closed. It takes the place of
// ReadMessage and ReadEvent. Nothing is buffered: a receiver that lags holds up the server.
func (c *ClientConn) Events(ctx context.Context) <-chan ClientEvent {
	events := make(chan ClientEvent)
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
	go func() {
		defer close(events)
		defer stop()
		for {
			event, err := c.ReadEvent()
			if err != nil {
				return
			}
			select {
			case events <- event:
			case <-ctx.Done():
				return
			}
		}
	}()
	return events
}

// WriteMessage sends a message, which is copied, of type [TextMessage] or [BinaryMessage]; or a [PingMessage] of at most 125
// bytes; or a [CloseMessage] with a payload of [FormatCloseMessage], after which nothing can be written. It waits while
// DialOptions.MaxOutboxBytes wait, and returns when the message is queued; with Reconnect that is possible also between
// connections.
//
// Errors: [ErrGone], if the connection has ended or is closing; [os.ErrDeadlineExceeded]; [ErrInvalidArgument].
func (c *ClientConn) WriteMessage(messageType int, data []byte) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	for {
		status, err := c.queue(messageType, data)
		if err != nil {
			return err
		}
		if status != C.WSP_STATUS_BACKPRESSURE {
			return failure(status)
		}
		if err := c.wait(c.writable, &c.writeDeadline); err != nil {
			return err
		}
	}
}

// queue tries once.
func (c *ClientConn) queue(messageType int, data []byte) (C.wsp_status, error) {
	c.life.RLock()
	defer c.life.RUnlock()
	if c.native == nil {
		return 0, ErrGone
	}
	bytes, size := bytesOf(data)
	switch messageType {
	case TextMessage, BinaryMessage:
		return C.wsp_client_send(c.native, C.wsp_message_kind(messageType), bytes, size, 0), nil
	case PingMessage:
		return C.wsp_client_ping(c.native, bytes, size), nil
	case CloseMessage:
		code, reason, err := parseCloseMessage(data)
		if err != nil {
			return 0, err
		}
		return c.closeNative(code, reason, 0)
	default:
		return 0, fmt.Errorf("%w: %d is no type of message to send", ErrInvalidArgument, messageType)
	}
}

func (c *ClientConn) closeNative(code int, reason string, timeoutMs int) (C.wsp_status, error) {
	if code < 0 || code > 1<<16-1 {
		return 0, fmt.Errorf("%w: %d is no close code", ErrInvalidArgument, code)
	}
	why, err := text(reason)
	if err != nil {
		return 0, err
	}
	return C.wsp_client_close(c.native, C.uint16_t(code), why, C.int32_t(timeoutMs)), nil
}

// Shutdown closes with a code and a reason of at most 123 bytes: what was written leaves, then a close frame, and the server's
// answer is waited for, for at most DialOptions.CloseTimeout or until ctx is done. What came can still be read. Close follows.
func (c *ClientConn) Shutdown(ctx context.Context, code int, reason string) error {
	ended := make(chan error, 1)
	go func() {
		c.life.RLock()
		defer c.life.RUnlock()
		if c.native == nil {
			ended <- ErrGone
			return
		}
		status, err := c.closeNative(code, reason, -1)
		if err == nil {
			err = failure(status)
		}
		ended <- err
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close gives the connection back. One that has not ended closes with 1000 in the background: what was written still leaves,
// for at most DialOptions.CloseTimeout, unless the program ends first; to know that it has, call Shutdown before. Whoever reads
// or writes gets [ErrGone]. It always returns nil.
func (c *ClientConn) Close() error {
	c.mu.Lock()
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	c.mu.Unlock()
	c.life.Lock()
	defer c.life.Unlock()
	C.wsp_client_free(c.native)
	c.native = nil
	pump.forget(c.token)
	return nil
}

// Subprotocol returns the subprotocol that the server chose, if any; with Reconnect, of the last connection that was read of.
func (c *ClientConn) Subprotocol() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.subprotocol
}

// SetReadDeadline has reads fail with [os.ErrDeadlineExceeded] from then on, also those that wait; zero means never. Unlike with
// gorilla/websocket, a read after another deadline was set goes on where the last one stopped.
func (c *ClientConn) SetReadDeadline(t time.Time) error {
	return c.setDeadline(&c.readDeadline, c.readable, t)
}

// SetWriteDeadline does so for writes that wait for room.
func (c *ClientConn) SetWriteDeadline(t time.Time) error {
	return c.setDeadline(&c.writeDeadline, c.writable, t)
}

func (c *ClientConn) setDeadline(deadline *time.Time, waiting chan struct{}, t time.Time) error {
	c.mu.Lock()
	*deadline = t
	c.mu.Unlock()
	signal(waiting)
	return nil
}

// wait returns when it is worth another try, or with the reason why there is none.
func (c *ClientConn) wait(ready <-chan struct{}, deadline *time.Time) error {
	c.mu.Lock()
	limit := *deadline
	c.mu.Unlock()
	var late <-chan time.Time
	if !limit.IsZero() {
		left := time.Until(limit)
		if left <= 0 {
			return os.ErrDeadlineExceeded
		}
		timer := time.NewTimer(left)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-ready:
	case <-late:
	case <-c.closed:
		return ErrGone
	}
	return nil
}

// take takes an event that is there.
func (c *ClientConn) take() (ClientEvent, C.wsp_status) {
	c.life.RLock()
	defer c.life.RUnlock()
	if c.native == nil {
		return ClientEvent{}, C.WSP_STATUS_GONE
	}
	var native C.wsp_client_event
	status := C.wsp_client_recv(c.native, 0, &native)
	if status != C.WSP_STATUS_OK {
		return ClientEvent{}, status
	}
	event := ClientEvent{Kind: ClientEventKind(native.kind)}
	data := append([]byte{}, unsafe.Slice((*byte)(unsafe.Pointer(native.data)), int(native.len))...)
	switch event.Kind {
	case ClientConnected:
		event.Subprotocol = string(data)
		c.mu.Lock()
		c.subprotocol = event.Subprotocol
		c.mu.Unlock()
	case ClientMessage:
		event.MessageType, event.Data = BinaryMessage, data
		if native.flags&C.WSP_EVENT_FLAG_TEXT != 0 {
			event.MessageType = TextMessage
		}
	case ClientPong:
		event.Data = data
	case ClientDisconnected:
		event.Err = endOf(&native, string(data))
		event.RetryIn = time.Duration(native.retry_in_ms) * time.Millisecond
		if event.RetryIn < 0 {
			c.mu.Lock()
			c.end = event.Err
			c.mu.Unlock()
		}
	}
	return event, status
}

// over is what readers get after the last event.
func (c *ClientConn) over() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closed:
		return ErrGone
	default:
	}
	if c.end == nil {
		return ErrGone
	}
	return c.end
}

func endOf(native *C.wsp_client_event, reason string) error {
	message := C.GoString(native.message)
	switch {
	case native.http_status != 0:
		return &UpgradeError{Status: int(native.http_status), Message: message}
	case native.cause == C.WSP_CLIENT_CAUSE_NOT_CONNECTED && native.status == C.WSP_STATUS_TIMED_OUT:
		return fmt.Errorf("wspoll: %s: %w", message, os.ErrDeadlineExceeded)
	case native.cause == C.WSP_CLIENT_CAUSE_NOT_CONNECTED:
		return errors.New("wspoll: " + message)
	}
	cause, known := clientCauses[native.cause]
	if !known {
		cause = CauseOther
	}
	return &CloseError{Code: int(native.code), Text: reason, Cause: cause}
}

var clientCauses = map[C.uint16_t]CloseCause{
	C.WSP_CLIENT_CAUSE_SERVER:        CausePeer,
	C.WSP_CLIENT_CAUSE_CLIENT:        CauseHost,
	C.WSP_CLIENT_CAUSE_VIOLATION:     CauseViolation,
	C.WSP_CLIENT_CAUSE_PONG_TIMEOUT:  CausePongTimeout,
	C.WSP_CLIENT_CAUSE_WRITE_TIMEOUT: CauseWriteTimeout,
	C.WSP_CLIENT_CAUSE_CLOSE_TIMEOUT: CauseCloseTimeout,
	C.WSP_CLIENT_CAUSE_END_OF_STREAM: CauseEndOfStream,
	C.WSP_CLIENT_CAUSE_LOST:          CauseLost,
	C.WSP_CLIENT_CAUSE_PANIC:         CausePanic,
}

// signal leaves a signal unless there is one.
func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// clientPump wakes those who wait for a client. One goroutine, and while it waits one thread, serves all clients.
type clientPump struct {
	once  sync.Once
	group *C.wsp_client_group
	mu    sync.Mutex
	conns map[uint64]*ClientConn
	last  uint64
}

var pump = clientPump{conns: map[uint64]*ClientConn{}}

func (p *clientPump) add(c *ClientConn) {
	p.once.Do(func() {
		p.group = C.wsp_client_group_new()
		go p.run()
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	c.token = p.last
	p.conns[c.token] = c
}

func (p *clientPump) forget(token uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, token)
}

func (p *clientPump) run() {
	const most = 256
	tokens := (*[most]C.uint64_t)(C.calloc(most, C.sizeof_uint64_t))
	for {
		var count C.size_t
		if C.wsp_client_group_wait(p.group, &tokens[0], most, -1, &count) != C.WSP_STATUS_OK {
			panic("wspoll: waiting for clients: " + C.GoString(C.wsp_last_error_message()))
		}
		p.mu.Lock()
		for _, token := range tokens[:count] {
			if c := p.conns[uint64(token)]; c != nil {
				signal(c.readable)
				signal(c.writable)
			}
		}
		p.mu.Unlock()
	}
}
