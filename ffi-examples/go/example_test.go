package wspoll_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/gorilla/websocket"

	"wspoll"
)

// ask sends one message and prints the answer.
func ask(url, message string) {
	conn, _, err := websocket.DefaultDialer.Dial(url, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
		log.Fatal(err)
	}
	_, answer, err := conn.ReadMessage()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(answer))
}

// A server that sends everything back.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	server, err := wspoll.Listen(ctx, wspoll.Config{
		Addr: "127.0.0.1:0",
		Handler: wspoll.HandlerFuncs{
			Message: func(c wspoll.Conn, kind int, payload []byte) {
				if err := c.Write(kind, payload); err != nil {
					log.Print(err)
				}
			},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	ask("ws://"+server.Addr().String(), "hello")
	stop()
	fmt.Println(server.Wait())
	// Output:
	// hello
	// <nil>
}

// A server inside an HTTP server that the program has anyway.
func ExampleServer_Upgrade() {
	server, err := wspoll.Listen(context.Background(), wspoll.Config{
		Handler: wspoll.HandlerFuncs{
			Message: func(c wspoll.Conn, kind int, payload []byte) {
				answer := fmt.Sprintf("%s said %s", c.Value(), payload)
				if err := c.Write(kind, []byte(answer)); err != nil {
					log.Print(err)
				}
			},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := server.Upgrade(w, r, &wspoll.Accept{Value: r.FormValue("user")})
		var refused *wspoll.UpgradeError
		if errors.As(err, &refused) {
			http.Error(w, refused.Message, refused.Status)
		}
	}))
	defer web.Close()
	ask("ws"+strings.TrimPrefix(web.URL, "http")+"/?user=ann", "hello")
	// Output: ann said hello
}

// A push to everybody in a room, from any goroutine.
func ExampleServer_Publish() {
	opened := make(chan wspoll.Conn)
	server, err := wspoll.Listen(context.Background(), wspoll.Config{
		Addr:    "127.0.0.1:0",
		Handler: wspoll.HandlerFuncs{Open: func(c wspoll.Conn) { opened <- c }},
		OnUpgrade: func(r *http.Request) (*wspoll.Accept, error) {
			return &wspoll.Accept{Rooms: []string{r.URL.Path}}, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+server.Addr().String()+"/news", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	<-opened
	if err := server.Publish("/news", wspoll.TextMessage, []byte("extra, extra")); err != nil {
		log.Fatal(err)
	}
	_, message, err := conn.ReadMessage()
	fmt.Println(string(message), err)
	// Output: extra, extra <nil>
}

// A client that is there as long as its server is.
func ExampleDial() {
	server, err := wspoll.Listen(context.Background(), wspoll.Config{
		Addr: "127.0.0.1:0",
		Handler: wspoll.HandlerFuncs{
			Message: func(c wspoll.Conn, kind int, payload []byte) { _ = c.Write(kind, payload) },
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	conn, err := wspoll.Dial(context.Background(), "ws://"+server.Addr().String()+"/", &wspoll.DialOptions{
		Reconnect: &wspoll.Reconnect{},
		Greeting:  []wspoll.Greeting{{MessageType: wspoll.TextMessage, Data: []byte("hello")}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	_, message, err := conn.ReadMessage()
	fmt.Println(string(message), err)
	// Output: hello <nil>
}
