package wspoll

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// dialClient connects by Dial, with a deadline for reads, and closes at the end of the test.
func dialClient(t testing.TB, url string, options *DialOptions) *ClientConn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := Dial(ctx, url, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func expectMessage(t testing.TB, c *ClientConn, messageType int, payload string) {
	t.Helper()
	gotType, got, err := c.ReadMessage()
	if err != nil || gotType != messageType || string(got) != payload {
		t.Fatalf("got %d %.40q %v, want %d %.40q", gotType, got, err, messageType, payload)
	}
}

var clientEcho = HandlerFuncs{Message: func(c Conn, kind int, payload []byte) {
	if string(payload) == "bye" {
		_ = c.Close(4001, "go")
		return
	}
	_ = c.Write(kind, payload)
}}

func TestClientEchoes(t *testing.T) {
	server := start(t, Config{Handler: clientEcho, OnUpgrade: func(r *http.Request) (*Accept, error) {
		if r.Header.Get("X-Token") != "secret" || r.Header.Get("Origin") != "https://example.com" {
			return nil, &UpgradeError{Status: http.StatusForbidden, Message: "not you"}
		}
		return &Accept{Subprotocol: "chat"}, nil
	}, CheckOrigin: func(*http.Request) bool { return true }})
	header := http.Header{"X-Token": {"secret"}, "Origin": {"https://example.com"}}
	c := dialClient(t, endpoint(server), &DialOptions{Header: header, Subprotocols: []string{"other", "chat"}})
	if c.Subprotocol() != "chat" {
		t.Errorf("subprotocol %q", c.Subprotocol())
	}
	large := strings.Repeat("x", 60_000)
	for _, payload := range []string{"grün", "", large} {
		for _, messageType := range []int{TextMessage, BinaryMessage} {
			if err := c.WriteMessage(messageType, []byte(payload)); err != nil {
				t.Fatal(err)
			}
			expectMessage(t, c, messageType, payload)
		}
	}
	if err := c.WriteMessage(PingMessage, []byte("there?")); err != nil {
		t.Fatal(err)
	}
	if event, err := c.ReadEvent(); err != nil || event.Kind != ClientPong || string(event.Data) != "there?" {
		t.Errorf("got %+v %v", event, err)
	}
	for messageType, payload := range map[int]string{TextMessage: "\xff", 3: "", PingMessage: large, CloseMessage: "x"} {
		if err := c.WriteMessage(messageType, []byte(payload)); !errors.Is(err, ErrInvalidArgument) {
			t.Errorf("%d: %v", messageType, err)
		}
	}
	// Without the token.
	_, err := Dial(context.Background(), endpoint(server), nil)
	var refused *UpgradeError
	if !errors.As(err, &refused) || refused.Status != http.StatusForbidden || !strings.Contains(refused.Message, "not you") {
		t.Errorf("got %v", err)
	}
}

func TestClientCloses(t *testing.T) {
	closed := make(chan error, 1)
	handler := clientEcho
	handler.Close = func(c Conn, err error) { closed <- err }
	server := start(t, Config{Handler: handler})
	c := dialClient(t, endpoint(server), nil)
	if err := c.WriteMessage(TextMessage, []byte("bye")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var end *CloseError
		_, _, err := c.ReadMessage()
		if !errors.As(err, &end) || end.Code != 4001 || end.Text != "go" || end.Cause != CausePeer {
			t.Errorf("got %v", err)
		}
	}
	if err := c.WriteMessage(TextMessage, nil); !errors.Is(err, ErrGone) {
		t.Errorf("got %v", err)
	}
	receive(t, closed, "the end")

	c = dialClient(t, endpoint(server), nil)
	if err := c.WriteMessage(TextMessage, []byte("last")); err != nil {
		t.Fatal(err)
	}
	expectMessage(t, c, TextMessage, "last")
	if err := c.Shutdown(context.Background(), CloseGoingAway, "home"); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, closed, "the end"); !IsCloseError(err, CloseGoingAway) {
		t.Errorf("the server saw %v", err)
	}
	if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseGoingAway) {
		t.Errorf("got %v", err)
	}

	// Close wakes whoever waits.
	c = dialClient(t, endpoint(server), nil)
	waiting := make(chan error, 1)
	go func() {
		_, _, err := c.ReadMessage()
		waiting <- err
	}()
	_ = c.Close()
	_ = c.Close()
	if err := receive(t, waiting, "the reader"); !errors.Is(err, ErrGone) {
		t.Errorf("got %v", err)
	}
	if err := receive(t, closed, "the end"); !IsCloseError(err, CloseNormalClosure) {
		t.Errorf("the server saw %v", err)
	}
}

func TestClientDeadlines(t *testing.T) {
	server := start(t, Config{Handler: clientEcho})
	c := dialClient(t, endpoint(server), nil)
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, _, err := c.ReadMessage(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	// Nothing is spoiled, and a deadline reaches one who waits.
	_ = c.SetReadDeadline(time.Time{})
	waiting := make(chan error, 1)
	go func() {
		_, _, err := c.ReadMessage()
		waiting <- err
	}()
	_ = c.SetReadDeadline(time.Unix(1, 0))
	if err := receive(t, waiting, "the reader"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	_ = c.WriteMessage(TextMessage, []byte("still here"))
	expectMessage(t, c, TextMessage, "still here")
}

func TestClientCannotConnect(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	silent := "ws://" + listener.Addr().String() + "/"
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, silent, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err := Dial(context.Background(), silent, &DialOptions{HandshakeTimeout: 20 * time.Millisecond}); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	_ = listener.Close()
	_, err = Dial(context.Background(), silent, nil)
	if err == nil || !strings.Contains(err.Error(), "connecting to "+listener.Addr().String()) {
		t.Errorf("got %v", err)
	}
	for _, url := range []string{"wss://127.0.0.1/", "http://127.0.0.1/", "ws://127.0.0.1/\x00"} {
		if _, err := Dial(context.Background(), url, nil); !errors.Is(err, ErrInvalidArgument) {
			t.Errorf("%q: %v", url, err)
		}
	}
	var setting *SettingError
	if _, err := Dial(context.Background(), silent, &DialOptions{PongTimeout: time.Second}); !errors.As(err, &setting) || setting.Name != "pong_timeout" {
		t.Errorf("got %v", err)
	}
	if _, err := Dial(context.Background(), silent, &DialOptions{ReadLimit: -1}); !errors.As(err, &setting) || setting.Name != "ReadLimit" {
		t.Errorf("got %v", err)
	}
}

func TestClientReconnects(t *testing.T) {
	server := start(t, Config{Handler: clientEcho})
	c := dialClient(t, endpoint(server), &DialOptions{
		Reconnect: &Reconnect{MinDelay: time.Millisecond, MaxDelay: 20 * time.Millisecond},
		Greeting:  []Greeting{{TextMessage, []byte("join")}},
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events := c.Events(ctx)
	next := func(kind ClientEventKind) ClientEvent {
		t.Helper()
		event := receive(t, events, "an event")
		if event.Kind != kind {
			t.Fatalf("got %+v, want kind %d", event, kind)
		}
		return event
	}
	for range 3 {
		if event := next(ClientMessage); string(event.Data) != "join" {
			t.Errorf("got %q", event.Data)
		}
		if err := c.WriteMessage(TextMessage, []byte("bye")); err != nil {
			t.Fatal(err)
		}
		event := next(ClientDisconnected)
		if !IsCloseError(event.Err, 4001) || event.RetryIn < time.Millisecond || event.RetryIn > 20*time.Millisecond {
			t.Errorf("got %+v", event)
		}
		next(ClientConnected)
	}
	next(ClientMessage)
	if err := c.WriteMessage(CloseMessage, FormatCloseMessage(CloseNormalClosure, "")); err != nil {
		t.Fatal(err)
	}
	if event := next(ClientDisconnected); event.RetryIn >= 0 || !IsCloseError(event.Err, CloseNormalClosure) {
		t.Errorf("got %+v", event)
	}
	for range events {
		t.Error("something follows the end")
	}
}

func TestClientThatDoesNotReadHoldsUpItsServer(t *testing.T) {
	dropped := make(chan error, 1)
	server := start(t, Config{
		Handler: HandlerFuncs{
			Open:    func(c Conn) { go flood(c, dropped) },
			Dropped: func(Conn, int, error) { signalError(dropped, ErrBackpressure) },
		},
		Settings: map[string]string{"slow_consumer": "drop-new"},
	})
	c := dialClient(t, endpoint(server), &DialOptions{MaxInboxBytes: 100_000})
	// The server has met a client that reads nothing.
	if err := receive(t, dropped, "a dropped message"); !errors.Is(err, ErrBackpressure) {
		t.Errorf("got %v", err)
	}
	if _, data, err := c.ReadMessage(); err != nil || len(data) != 50_000 {
		t.Errorf("got %d bytes, %v", len(data), err)
	}
}

// flood sends until a message is dropped.
func flood(c Conn, dropped chan error) {
	payload := make([]byte, 50_000)
	for range 1000 {
		if err := c.Write(BinaryMessage, payload); err != nil {
			signalError(dropped, err)
			return
		}
	}
}

func signalError(to chan error, err error) {
	select {
	case to <- err:
	default:
	}
}

func TestManyClientsOfManyGoroutines(t *testing.T) {
	server := start(t, Config{Handler: clientEcho})
	var group sync.WaitGroup
	for i := range 50 {
		c := dialClient(t, endpoint(server), &DialOptions{MaxOutboxBytes: 1000})
		group.Add(2)
		go func() {
			defer group.Done()
			for n := range 200 {
				if err := c.WriteMessage(TextMessage, fmt.Appendf(nil, "%d %d", i, n)); err != nil {
					t.Error(err)
					return
				}
			}
		}()
		go func() {
			defer group.Done()
			for n := range 200 {
				_, data, err := c.ReadMessage()
				if err != nil || string(data) != fmt.Sprintf("%d %d", i, n) {
					t.Errorf("got %q %v, want %d %d", data, err, i, n)
					return
				}
			}
		}()
	}
	group.Wait()
}
