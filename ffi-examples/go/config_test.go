package wspoll

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestBadSettingsAreNamed(t *testing.T) {
	for name, test := range map[string]struct {
		config Config
		field  string
		value  string
	}{
		"by the library": {Config{Settings: map[string]string{"slow_consumer": "perhaps"}}, "slow_consumer", "perhaps"},
		"unknown":        {Config{Settings: map[string]string{"colour": "red"}}, "colour", "red"},
		"together":       {Config{PingInterval: time.Minute, PongTimeout: time.Second}, "pong_timeout", ""},
		"address":        {Config{Addr: "127.0.0.1:http:1"}, "listen", "127.0.0.1:http:1"},
		"admin":          {Config{Admin: "6060"}, "admin", "6060"},
		"admin token":    {Config{Admin: "0.0.0.0:0", AdminToken: "two words"}, "admin_token", "…"},
		"shards":         {Config{Shards: -1}, "Shards", "-1"},
		"compression":    {Config{EnableCompression: true}, "EnableCompression", "true"},
		"read limit":     {Config{ReadLimit: -1}, "ReadLimit", "-1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Listen(context.Background(), test.config)
			var bad *SettingError
			if !errors.As(err, &bad) {
				t.Fatalf("%v", err)
			}
			if bad.Name != test.field || test.value != "" && bad.Value != test.value || bad.Reason == "" {
				t.Fatalf("%#v", bad)
			}
		})
	}
}

func TestTakenAddressIsAnError(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, err = Listen(context.Background(), Config{Addr: listener.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), listener.Addr().String()) {
		t.Fatalf("%v", err)
	}
}

func TestSeveralAddressesAndShardsLikeGo(t *testing.T) {
	server := start(t, Config{Addr: "localhost:0", Addrs: []string{"127.0.0.1:0"}, Handler: HandlerFuncs{Message: echo}})
	if len(server.Addrs()) != 2 || len(server.shards) != runtime.GOMAXPROCS(0) {
		t.Fatal(server.Addrs(), len(server.shards))
	}
	for _, addr := range server.Addrs() {
		conn := dialWith(t, "ws://"+addr.String(), nil, nil)
		send(t, conn, TextMessage, "hello")
		expect(t, conn, TextMessage, "hello")
	}
	stats := server.Stats()
	if stats.Opened != 2 {
		t.Fatalf("%+v", stats)
	}
}

func TestUnixSocketsAreServed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the library serves Unix sockets on Unix only")
	}
	path := filepath.Join(t.TempDir(), "sock")
	requests, remote := make(chan string, 1), make(chan net.Addr, 1)
	server := start(t, Config{
		Addr:      "unix:" + path,
		UnixMode:  0o600,
		OnUpgrade: func(r *http.Request) (*Accept, error) { requests <- r.RemoteAddr; return nil, nil },
		Handler:   HandlerFuncs{Open: func(c Conn) { remote <- c.RemoteAddr() }, Message: echo},
	})
	if addr := server.Addr(); addr.Network() != "unix" || addr.String() != path {
		t.Fatal(addr)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info, err)
	}
	dialer := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return net.Dial("unix", path) }}
	conn, _, err := dialer.Dial("ws://localhost/", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	send(t, conn, TextMessage, "hello")
	expect(t, conn, TextMessage, "hello")
	if r := receive(t, requests, "request"); r != "@" {
		t.Fatal(r)
	}
	if addr := receive(t, remote, "address"); addr == nil || addr.Network() != "unix" || addr.String() != "" {
		t.Fatal(addr)
	}
}

func TestProxiesNameTheirClients(t *testing.T) {
	requests, remote := make(chan string, 2), make(chan net.Addr, 2)
	server := start(t, Config{
		Addr:            "127.0.0.1:0",
		TrustedProxies:  []string{"127.0.0.1", "10.0.0.0/8"},
		ProxyProtocol:   true,
		ForwardedHeader: "x-forwarded-for",
		OnUpgrade:       func(r *http.Request) (*Accept, error) { requests <- r.RemoteAddr; return nil, nil },
		Handler:         HandlerFuncs{Open: func(c Conn) { remote <- c.RemoteAddr() }, Message: echo},
	})
	for client, header := range map[string]string{
		"192.0.2.1:5000": "PROXY TCP4 192.0.2.1 198.51.100.1 5000 80\r\n",
		"192.0.2.7:0":    "PROXY TCP4 10.0.0.9 198.51.100.1 5000 80\r\n",
	} {
		dialer := websocket.Dialer{NetDial: func(network, addr string) (net.Conn, error) {
			conn, err := net.Dial(network, addr)
			if err == nil {
				_, err = conn.Write([]byte(header))
			}
			return conn, err
		}}
		conn, _, err := dialer.Dial(endpoint(server), http.Header{"X-Forwarded-For": {"1.1.1.1, 192.0.2.7"}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if r := receive(t, requests, "request"); r != client {
			t.Fatal(r, client)
		}
		if addr := receive(t, remote, "address"); addr.String() != client {
			t.Fatal(addr, client)
		}
	}
}

// The two defaults that are typed here again are those of the library.
func TestDefaultsAreTheLibrarys(t *testing.T) {
	source, err := os.ReadFile("../../src/config/mod.rs")
	if err != nil {
		t.Skip("the library's source is not here")
	}
	for _, line := range []string{
		"DEFAULT_MAX_MAILBOX_BYTES: usize = 64 * 1024 * 1024;",
		"DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(10);",
	} {
		if !strings.Contains(string(source), line) {
			t.Errorf("no longer so: %s", line)
		}
	}
	if defaultMailboxBytes != 64*1024*1024 || defaultDrainTimeout != 10*time.Second {
		t.Error("no longer so here")
	}
}

func TestReadLimitCloses(t *testing.T) {
	server := start(t, Config{ReadLimit: 100, Handler: HandlerFuncs{Message: echo}})
	conn := dial(t, server)
	send(t, conn, TextMessage, strings.Repeat("x", 100))
	expect(t, conn, TextMessage, strings.Repeat("x", 100))
	send(t, conn, TextMessage, strings.Repeat("x", 101))
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			if !strings.Contains(err.Error(), "1009") {
				t.Fatal(err)
			}
			return
		}
	}
}
