package wspoll

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// refused dials and returns the response that says no.
func refused(t *testing.T, url string, header http.Header) *http.Response {
	t.Helper()
	conn, response, err := websocket.DefaultDialer.Dial(url, header)
	if err == nil {
		conn.Close()
		t.Fatal("it was accepted")
	}
	if response == nil {
		t.Fatal(err)
	}
	return response
}

func TestUpgradesAreDecided(t *testing.T) {
	modes(t, func(t *testing.T, inline bool) {
		values := make(chan any, 1)
		config := Config{
			Inline:      inline,
			CheckOrigin: func(r *http.Request) bool { return r.Header.Get("Origin") != "https://evil.example" },
			OnUpgrade: func(r *http.Request) (*Accept, error) {
				switch {
				case r.URL.Path == "/plain":
					return nil, nil
				case r.URL.Path == "/error":
					return nil, errors.New("secret")
				case r.FormValue("user") == "":
					header := http.Header{"Www-Authenticate": {"Basic"}}
					return nil, &UpgradeError{Status: http.StatusUnauthorized, Message: "who are you", Header: header}
				}
				if r.RemoteAddr == "" || r.Host == "" || r.Method != "GET" {
					t.Errorf("%+v", r)
				}
				return &Accept{
					Subprotocol: "second",
					Header:      http.Header{"Set-Cookie": {"a=1", "b=2"}},
					Value:       r.FormValue("user"),
					Rooms:       []string{"lobby"},
				}, nil
			},
			Handler: HandlerFuncs{
				Open:    func(c Conn) { values <- c.Value() },
				Message: echo,
			},
		}
		server := start(t, config)
		ends := map[string]string{"own address": "ws://" + server.Addr().String()}
		web := httptest.NewServer(server)
		t.Cleanup(web.Close)
		ends["net/http"] = "ws" + strings.TrimPrefix(web.URL, "http")
		for name, base := range ends {
			t.Run(name, func(t *testing.T) {
				dialer := websocket.Dialer{Subprotocols: []string{"first", "second"}}
				conn, response, err := dialer.Dial(base+"/chat?user=ann", nil)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				deadline(conn)
				if cookies := response.Header.Values("Set-Cookie"); len(cookies) != 2 || cookies[1] != "b=2" {
					t.Error(cookies)
				}
				if conn.Subprotocol() != "second" {
					t.Error(conn.Subprotocol())
				}
				if got := receive(t, values, "value"); got != "ann" {
					t.Error(got)
				}
				if err := server.Publish("lobby", TextMessage, []byte("welcome")); err != nil {
					t.Error(err)
				}
				expect(t, conn, TextMessage, "welcome")
				conn = dialWith(t, base+"/plain", nil, nil)
				if got := receive(t, values, "value"); got != nil {
					t.Error(got)
				}
				send(t, conn, TextMessage, "hello")
				expect(t, conn, TextMessage, "hello")

				if response := refused(t, base+"/", nil); response.StatusCode != 401 || response.Header.Get("WWW-Authenticate") != "Basic" {
					t.Error(response)
				} else if body, _ := io.ReadAll(response.Body); string(body) != "who are you\n" {
					t.Errorf("%q", body)
				}
				response = refused(t, base+"/error", nil)
				if body, _ := io.ReadAll(response.Body); response.StatusCode != 403 || strings.Contains(string(body), "secret") {
					t.Errorf("%d %s", response.StatusCode, body)
				}
				if response := refused(t, base+"/plain", http.Header{"Origin": {"https://evil.example"}}); response.StatusCode != 403 {
					t.Error(response)
				}
			})
		}
	})
}

func TestOtherOriginsAreRefusedByDefault(t *testing.T) {
	server := start(t, Config{})
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	for _, addr := range []string{server.Addr().String(), web.Listener.Addr().String()} {
		if response := refused(t, "ws://"+addr, http.Header{"Origin": {"https://evil.example"}}); response.StatusCode != 403 {
			t.Error(response)
		}
		dialWith(t, "ws://"+addr, nil, http.Header{"Origin": {"http://" + addr}})
	}
}

func TestSlowDecisionDelaysNobodyElse(t *testing.T) {
	release := make(chan struct{})
	server := start(t, Config{
		Shards: 1,
		OnUpgrade: func(r *http.Request) (*Accept, error) {
			if r.URL.Path == "/slow" {
				<-release
			}
			return nil, nil
		},
		Handler: HandlerFuncs{Message: echo},
	})
	slow := make(chan *websocket.Conn, 1)
	go func() {
		conn, _, err := websocket.DefaultDialer.Dial(endpoint(server)+"slow", nil)
		if err != nil {
			t.Error(err)
		}
		slow <- conn
	}()
	conn := dial(t, server)
	send(t, conn, TextMessage, "hello")
	expect(t, conn, TextMessage, "hello")
	close(release)
	conn = receive(t, slow, "connection")
	defer conn.Close()
	deadline(conn)
	send(t, conn, TextMessage, "at last")
	expect(t, conn, TextMessage, "at last")
}

func TestHandlerOfNetHTTP(t *testing.T) {
	server, err := Listen(context.Background(), Config{Subprotocols: []string{"b"}, Handler: HandlerFuncs{Message: echo}})
	if err != nil {
		t.Fatal(err)
	}
	if server.Addr() != nil {
		t.Fatal("it listens on ", server.Addr())
	}
	mux := http.NewServeMux()
	mux.Handle("/ws", server)
	web := httptest.NewServer(mux)
	defer web.Close()
	base := "ws" + strings.TrimPrefix(web.URL, "http") + "/ws"

	conn := dialWith(t, base, []string{"a", "b"}, nil)
	if conn.Subprotocol() != "b" {
		t.Error(conn.Subprotocol())
	}
	send(t, conn, TextMessage, "hello")
	expect(t, conn, TextMessage, "hello")

	t.Run("takes what came behind the request", func(t *testing.T) {
		conn, err := net.Dial("tcp", web.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		request := strings.Replace(handshake, "GET /", "GET /ws", 1)
		if _, err := io.WriteString(conn, request+"\x81\x82\x00\x00\x00\x00hi"); err != nil {
			t.Fatal(err)
		}
		reader := bufio.NewReader(conn)
		response, err := http.ReadResponse(reader, nil)
		if err != nil || response.StatusCode != 101 {
			t.Fatal(response, err)
		}
		frame := make([]byte, 4)
		if _, err := io.ReadFull(reader, frame); err != nil || string(frame) != "\x81\x02hi" {
			t.Fatalf("%q %v", frame, err)
		}
	})
	t.Run("answers what is no upgrade", func(t *testing.T) {
		for _, test := range []struct {
			method string
			header map[string]string
			status int
		}{
			{"GET", nil, 426},
			{"POST", map[string]string{"Connection": "Upgrade", "Upgrade": "websocket"}, 405},
			{"GET", map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "short"}, 426},
			{"GET", map[string]string{
				"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "short",
			}, 400},
		} {
			request, err := http.NewRequest(test.method, web.URL+"/ws", nil)
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range test.header {
				request.Header.Set(name, value)
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != test.status {
				t.Errorf("%s %v: %s", test.method, test.header, response.Status)
			}
		}
	})
	t.Run("refuses TLS", func(t *testing.T) {
		secure := httptest.NewTLSServer(server)
		defer secure.Close()
		dialer := websocket.Dialer{TLSClientConfig: secure.Client().Transport.(*http.Transport).TLSClientConfig}
		_, response, err := dialer.Dial("wss"+strings.TrimPrefix(secure.URL, "https"), nil)
		if err == nil || response == nil || response.StatusCode != http.StatusNotImplemented {
			t.Fatal(response, err)
		}
	})
	if err := server.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	_, response, err := websocket.DefaultDialer.Dial(base, nil)
	if err == nil {
		t.Fatal("a server that has ended takes connections", response)
	}
}
