package wspoll

// #include <stdlib.h>
// #include <wspoll.h>
import "C"

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

// Config says what a server does. In every field but [Config.Addr], [Config.Handler] and [Config.QueueBytes], whose defaults stand
// with them, the zero value means the library's default: see the table of settings in the project's README. A negative duration
// or limit means none.
type Config struct {
	// Addr is where to listen: "127.0.0.1:8000", ":8000" (every IPv4 address), "[::]:8000" (every address), "localhost:0",
	// "unix:/run/chat.sock", "fd:3", "systemd"; the project's README has the list. Port 0 takes a free one. Empty: nowhere;
	// connections come by [Server.ServeHTTP] and [Server.Upgrade] only.
	Addr string
	// Addrs are more addresses.
	Addrs []string
	// IPv6Only keeps IPv4 connections from "[::]:8000".
	IPv6Only bool
	// UnixMode are the permissions of Unix sockets; whoever may write to one may connect. Default: 0660.
	UnixMode os.FileMode
	// TrustedProxies are believed about where a connection comes from: "192.0.2.1", "10.0.0.0/8", or "unix" for whoever comes
	// through a Unix socket. Their own addresses do not count against MaxConnectionsPerIP; those of their clients do.
	TrustedProxies []string
	// ProxyProtocol says that every connection begins with a PROXY protocol header (version 1 or 2) of a trusted proxy. Others
	// are refused. It does not concern [Server.ServeHTTP] and [Server.Upgrade].
	ProxyProtocol bool
	// ForwardedHeader is the header in which requests of trusted proxies name their clients: "x-forwarded-for" or
	// "forwarded". Default: none. RemoteAddr of the request and of the connection is then the client's.
	ForwardedHeader string
	// Admin is where the HTTP push API, metrics and the dashboard are served: "127.0.0.1:6060". Default: nowhere. The library has
	// them if it was built with the feature "admin"; if not, Listen fails with a [*SettingError].
	Admin string
	// AdminToken is what requests to Admin must bear. Needed if machines other than this one reach it.
	AdminToken string
	// Handler is told what happens. Without one, messages are read and forgotten.
	Handler Handler
	// Inline runs the Handler on the goroutines that drive the shards. It must not block then.
	Inline bool
	// Shards is how many event loops run, each on a thread of its own. Default: one per CPU.
	Shards int
	// QueueBytes bounds what waits for the Handler of one connection (without Inline): above it the connection is not read until
	// half of that has been worked off, so a client that sends too fast is held up by its own network connection. What one read
	// brought (at most 512 KiB) is always queued in full. Default: 64 KiB.
	QueueBytes int

	// CheckOrigin says whether a page of the request's Origin may connect. Default: pages of the same host, and clients
	// that name no origin. See also Settings["origin"].
	CheckOrigin func(r *http.Request) bool
	// OnUpgrade decides upgrades whose handshake and origin are in order. A nil Accept accepts; an error refuses, with the status
	// of an [*UpgradeError] or 403. It runs where the Handler runs; without Inline it may block, for at most HandshakeTimeout.
	OnUpgrade func(r *http.Request) (*Accept, error)
	// Subprotocols are spoken, most wanted first.
	Subprotocols []string
	// EnableCompression is here for those who come from gorilla/websocket. Compression is not implemented yet: if true,
	// Listen fails with a [*SettingError].
	EnableCompression bool

	HandshakeTimeout time.Duration // from accept to the end of the handshake
	PingInterval     time.Duration // silence after which a ping is sent
	PongTimeout      time.Duration // silence after which a peer is dead
	IdleTimeout      time.Duration // time without a message after which a connection is closed
	WriteTimeout     time.Duration // time without progress in sending after which a connection is cut
	CloseTimeout     time.Duration // time a peer has to answer a close frame
	PushMerge        time.Duration // time that pushes to the same connection gather for, to leave together; see PushMergeBytes
	DrainTimeout     time.Duration // time that the end of the context leaves to what is queued

	ReadLimit             int64 // bytes of the largest message; larger ones close with 1009
	MaxConnections        int   // more are answered with 503
	MaxConnectionsPerIP   int   // more are answered with 429
	MaxRoomsPerConnection int   // rooms that one connection may be in
	MaxOutboxBytes        int   // bytes that may wait for one connection's network
	PushMergeBytes        int   // bytes that gather for one connection until they leave before PushMerge is over
	MaxMailboxBytes       int   // bytes that other goroutines may have waiting for one shard; then Write returns ErrBackpressure

	// Settings are passed to the library by name, after the fields above: "slow_consumer": "drop-old",
	// "origin": "https://example.com". The README of the project has the list.
	Settings map[string]string
}

// defaultQueueBytes holds one read of a client that sends many small messages at once, and is what 10,000 slow handlers can
// hold in 640 MB.
const defaultQueueBytes = 64 << 10

// defaultMailboxBytes is the library's default of max_mailbox_bytes; a test compares them.
const defaultMailboxBytes = 64 << 20

type setting struct{ name, value string }

func (c *Config) settings() ([]setting, error) {
	var all []setting
	add := func(name, value string) { all = append(all, setting{name, value}) }
	duration := func(name string, d time.Duration) {
		switch {
		case d < 0:
			add(name, "0")
		case d > 0:
			// Rounded up, so that no limit becomes none.
			add(name, strconv.FormatInt(int64((d+time.Millisecond-1)/time.Millisecond), 10))
		}
	}
	number := func(name string, n int64) {
		switch {
		case n < 0:
			add(name, "0")
		case n > 0:
			add(name, strconv.FormatInt(n, 10))
		}
	}
	if c.EnableCompression {
		return nil, &SettingError{Name: "EnableCompression", Value: "true", Reason: "compression is not implemented yet"}
	}
	if c.Shards < 0 {
		return nil, &SettingError{Name: "Shards", Value: strconv.Itoa(c.Shards), Reason: "must be 0 (one per CPU) or more"}
	}
	if c.QueueBytes < 0 {
		return nil, &SettingError{Name: "QueueBytes", Value: strconv.Itoa(c.QueueBytes), Reason: "must be 0 (the default) or more"}
	}
	// What Go thinks it may use: a container's quota counts.
	shards := c.Shards
	if shards == 0 {
		shards = runtime.GOMAXPROCS(0)
	}
	number("shards", int64(shards))
	if len(c.TrustedProxies) > 0 {
		add("trusted_proxies", strings.Join(c.TrustedProxies, ","))
	}
	if c.ProxyProtocol {
		add("proxy_protocol", "true")
	}
	if c.ForwardedHeader != "" {
		add("forwarded_header", c.ForwardedHeader)
	}
	if c.Admin != "" {
		add("admin", c.Admin)
	}
	if c.AdminToken != "" {
		add("admin_token", c.AdminToken)
	}
	if c.IPv6Only {
		add("ipv6_only", "true")
	}
	if c.UnixMode != 0 {
		add("unix_mode", strconv.FormatUint(uint64(c.UnixMode), 8))
	}
	if len(c.Subprotocols) > 0 {
		add("subprotocols", strings.Join(c.Subprotocols, ","))
	}
	duration("handshake_timeout", c.HandshakeTimeout)
	duration("ping_interval", c.PingInterval)
	duration("pong_timeout", c.PongTimeout)
	duration("idle_timeout", c.IdleTimeout)
	duration("write_timeout", c.WriteTimeout)
	duration("close_timeout", c.CloseTimeout)
	duration("push_merge", c.PushMerge)
	duration("drain_timeout", c.DrainTimeout)
	if c.ReadLimit < 0 {
		return nil, &SettingError{Name: "ReadLimit", Value: strconv.FormatInt(c.ReadLimit, 10), Reason: "must be 0 (the default) or more"}
	}
	number("max_message_size", c.ReadLimit)
	number("max_connections", int64(c.MaxConnections))
	number("max_connections_per_ip", int64(c.MaxConnectionsPerIP))
	number("max_outbox_bytes", int64(c.MaxOutboxBytes))
	number("push_merge_bytes", int64(c.PushMergeBytes))
	number("max_rooms_per_connection", int64(c.MaxRoomsPerConnection))
	number("max_mailbox_bytes", int64(c.MaxMailboxBytes))
	if c.CheckOrigin != nil {
		add("origin", "any")
	}
	names := make([]string, 0, len(c.Settings))
	for name := range c.Settings {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		add(name, c.Settings[name])
	}
	return all, nil
}

// addresses resolves what the library wants as numbers.
func (c *Config) addresses() ([]string, error) {
	addrs := c.Addrs
	if c.Addr != "" {
		addrs = append([]string{c.Addr}, addrs...)
	}
	var resolved []string
	for _, addr := range addrs {
		// These are the library's to read.
		if kind, _, _ := strings.Cut(addr, ":"); kind == "unix" || kind == "fd" || kind == "systemd" {
			resolved = append(resolved, addr)
			continue
		}
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			return nil, &SettingError{Name: "listen", Value: addr, Reason: err.Error()}
		}
		if tcp.IP == nil {
			tcp.IP = net.IPv4zero
		}
		resolved = append(resolved, tcp.String())
	}
	return resolved, nil
}

// native makes the library's configuration. The caller has locked its thread and frees the result.
func (c *Config) native() (*C.wsp_config, error) {
	settings, err := c.settings()
	if err != nil {
		return nil, err
	}
	addrs, err := c.addresses()
	if err != nil {
		return nil, err
	}
	native := C.wsp_config_new()
	if native == nil {
		return nil, fmt.Errorf("wspoll: no memory")
	}
	fail := func(status C.wsp_status) error {
		err := explained(status)
		if err != nil {
			C.wsp_config_free(native)
		}
		return err
	}
	for _, s := range settings {
		name, value := C.CString(s.name), C.CString(s.value)
		status := C.wsp_config_set(native, name, value)
		C.free(unsafe.Pointer(name))
		C.free(unsafe.Pointer(value))
		if err := fail(status); err != nil {
			bad := &SettingError{Name: s.name, Value: s.value, Reason: err.Error()}
			var said *SettingError
			if errors.As(err, &said) {
				bad.Reason = said.Reason
				// The library does not show a token, and neither do we.
				if said.Name == "admin_token" {
					bad.Value = said.Value
				}
			}
			return nil, bad
		}
	}
	if len(addrs) == 0 && c.Settings["listen"] == "" {
		if err := fail(C.wsp_config_clear_listen(native)); err != nil {
			return nil, err
		}
	}
	for _, addr := range addrs {
		text := C.CString(addr)
		status := C.wsp_config_add_listen(native, text)
		C.free(unsafe.Pointer(text))
		if err := fail(status); err != nil {
			return nil, err
		}
	}
	if c.CheckOrigin != nil || c.OnUpgrade != nil {
		if err := fail(C.wsp_config_set_decide_upgrades(native, true)); err != nil {
			return nil, err
		}
	}
	return native, nil
}
