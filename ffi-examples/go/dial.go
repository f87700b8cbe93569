package wspoll

// #include <stdlib.h>
// #include <wspoll.h>
import "C"

import (
	"context"
	"math"
	"net/http"
	"sort"
	"strconv"
	"time"
	"unsafe"
)

// DialOptions says how a client connects. The zero value of every field means the library's default: see wspoll.h. A negative
// duration means none.
type DialOptions struct {
	Header       http.Header // more fields of the request; "Origin" and "Host" are among those that may be set
	Subprotocols []string    // offered, most wanted first; the server need not choose one

	HandshakeTimeout time.Duration // from looking up the name to the end of the handshake; the context of Dial ends it too
	WriteTimeout     time.Duration // time in which the server takes nothing, after which it is given up
	CloseTimeout     time.Duration // time that the server has to answer a close frame
	PingInterval     time.Duration // silence after which a ping is sent
	PongTimeout      time.Duration // silence after which the server is dead; longer than PingInterval

	ReadLimit      int64 // bytes of the largest message; larger ones close with 1009
	MaxOutboxBytes int   // bytes that may wait for the network; then WriteMessage waits. No message may be larger
	MaxInboxBytes  int   // bytes that may wait to be read; then nothing is read from the network

	// Reconnect, if it is set, makes a new connection whenever one is lost, until Close.
	Reconnect *Reconnect
	// Greeting is sent first on every connection, before all that waits: to log in, to join rooms again.
	Greeting []Greeting
}

// A Greeting is a message that opens every connection.
type Greeting struct {
	MessageType int // TextMessage or BinaryMessage
	Data        []byte
}

// Reconnect says how connections are made anew: after delays that grow and are drawn by lot, so that clients that were lost
// together do not return together. The zero value means the library's defaults.
type Reconnect struct {
	MinDelay    time.Duration // the shortest delay. Default: 500 ms
	MaxDelay    time.Duration // the longest delay. Default: 30 s
	StableAfter time.Duration // delays begin anew after a connection that lasted so long. Default: 10 s
	MaxAttempts int           // tries without a connection that lasted, after which the client ends. 0: no limit
}

// Dial connects to url, "ws://HOST[:PORT][/PATH][?QUERY]" or on Unix "unix:/path/of/socket[:/PATH]". Options may be nil. With
// DialOptions.Reconnect it tries until ctx is done.
//
// Errors: an [*UpgradeError] with the status by which the server refused; [os.ErrDeadlineExceeded]; ctx.Err(); a
// [*SettingError] or [ErrInvalidArgument] for what cannot be; others, in words, for what the system or the server did.
func Dial(ctx context.Context, url string, options *DialOptions) (*ClientConn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if options == nil {
		options = &DialOptions{}
	}
	c := &ClientConn{
		readable: make(chan struct{}, 1),
		writable: make(chan struct{}, 1),
		closed:   make(chan struct{}),
	}
	pump.add(c)
	if err := explainError(func() error { return c.start(url, options) }); err != nil {
		_ = c.Close()
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	for {
		event, err := c.ReadEvent()
		switch {
		case ctx.Err() != nil:
			_ = c.Close()
			return nil, ctx.Err()
		case err != nil:
			_ = c.Close()
			return nil, err
		case event.Kind == ClientConnected:
			if !stop() {
				// It has begun to close.
				return nil, ctx.Err()
			}
			return c, nil
		case event.RetryIn < 0:
			_ = c.Close()
			return nil, event.Err
		}
	}
}

// start begins to connect. The caller has locked its thread.
func (c *ClientConn) start(url string, options *DialOptions) error {
	config := C.wsp_client_config_new()
	defer C.wsp_client_config_free(config)
	if err := options.apply(config); err != nil {
		return err
	}
	if err := explained(C.wsp_client_config_set_group(config, pump.group, C.uint64_t(c.token))); err != nil {
		return err
	}
	address, err := text(url)
	if err != nil {
		return err
	}
	return explained(C.wsp_client_start(address, config, &c.native))
}

// apply tells the library what differs from the defaults.
func (o *DialOptions) apply(config *C.wsp_client_config) error {
	var first error
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	o.applyHeader(config, keep)
	for _, name := range o.Subprotocols {
		c, err := text(name)
		keep(err)
		if err == nil {
			keep(explained(C.wsp_client_config_add_subprotocol(config, c)))
		}
	}
	duration := func(d time.Duration, set func(ms C.uint32_t) C.wsp_status) {
		if d != 0 {
			keep(explained(set(milliseconds(d))))
		}
	}
	duration(o.HandshakeTimeout, func(ms C.uint32_t) C.wsp_status {
		return C.wsp_client_config_set_connect_timeout_ms(config, ms)
	})
	duration(o.WriteTimeout, func(ms C.uint32_t) C.wsp_status {
		return C.wsp_client_config_set_write_timeout_ms(config, ms)
	})
	duration(o.CloseTimeout, func(ms C.uint32_t) C.wsp_status {
		return C.wsp_client_config_set_close_timeout_ms(config, ms)
	})
	duration(o.PingInterval, func(ms C.uint32_t) C.wsp_status {
		return C.wsp_client_config_set_ping_interval_ms(config, ms)
	})
	duration(o.PongTimeout, func(ms C.uint32_t) C.wsp_status {
		return C.wsp_client_config_set_pong_timeout_ms(config, ms)
	})
	number := func(name string, n int64, set func(n C.size_t) C.wsp_status) {
		switch {
		case n < 0:
			keep(&SettingError{Name: name, Value: strconv.FormatInt(n, 10), Reason: "must be 0 (the default) or more"})
		case n > 0:
			keep(explained(set(C.size_t(n))))
		}
	}
	number("ReadLimit", o.ReadLimit, func(n C.size_t) C.wsp_status {
		return C.wsp_client_config_set_max_message_size(config, n)
	})
	number("MaxOutboxBytes", int64(o.MaxOutboxBytes), func(n C.size_t) C.wsp_status {
		return C.wsp_client_config_set_max_outbox_bytes(config, n)
	})
	number("MaxInboxBytes", int64(o.MaxInboxBytes), func(n C.size_t) C.wsp_status {
		return C.wsp_client_config_set_max_inbox_bytes(config, n)
	})
	if r := o.Reconnect; r != nil {
		least, most := r.MinDelay, r.MaxDelay
		if least == 0 {
			least = 500 * time.Millisecond
		}
		if most == 0 {
			most = max(30*time.Second, least)
		}
		keep(explained(C.wsp_client_config_set_reconnect(config, milliseconds(least), milliseconds(most))))
		duration(r.StableAfter, func(ms C.uint32_t) C.wsp_status {
			return C.wsp_client_config_set_reconnect_stable_ms(config, ms)
		})
		number("MaxAttempts", int64(r.MaxAttempts), func(n C.size_t) C.wsp_status {
			return C.wsp_client_config_set_reconnect_attempts(config, C.uint32_t(min(n, math.MaxUint32)))
		})
	}
	for _, greeting := range o.Greeting {
		data, size := bytesOf(greeting.Data)
		kind := C.wsp_message_kind(greeting.MessageType)
		keep(explained(C.wsp_client_config_add_greeting(config, kind, data, size)))
	}
	return first
}

func (o *DialOptions) applyHeader(config *C.wsp_client_config, keep func(error)) {
	names := make([]string, 0, len(o.Header))
	for name := range o.Header {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		for _, value := range o.Header[name] {
			cName, cValue := C.CString(name), C.CString(value)
			if http.CanonicalHeaderKey(name) == "Origin" {
				keep(explained(C.wsp_client_config_set_origin(config, cValue)))
			} else {
				keep(explained(C.wsp_client_config_add_header(config, cName, cValue)))
			}
			C.free(unsafe.Pointer(cName))
			C.free(unsafe.Pointer(cValue))
		}
	}
}

// milliseconds rounds up, so that no limit becomes none.
func milliseconds(d time.Duration) C.uint32_t {
	return C.uint32_t(min(max(int64(d+time.Millisecond-1)/int64(time.Millisecond), 0), math.MaxUint32))
}
