// Command gorilla is an echo and push server on gorilla/websocket, to measure against: a goroutine per connection, and one
// more that writes for those on /broadcast or /broadcast/NAME, where what arrives goes to all that are there.
package main

import (
	"flag"
	"log"
	"net/http"
	"strings"

	"github.com/gorilla/websocket"
)

var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

func main() {
	addr := flag.String("listen", "127.0.0.1:8000", "address to listen on")
	flag.Parse()
	hub := newHub()
	go hub.run()
	serve := func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		if strings.HasPrefix(r.URL.Path, "/broadcast") {
			hub.serve(conn, r.URL.Path)
		} else {
			echo(conn)
		}
	}
	log.Fatal(http.ListenAndServe(*addr, http.HandlerFunc(serve)))
}

func echo(conn *websocket.Conn) {
	for {
		kind, payload, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if err := conn.WriteMessage(kind, payload); err != nil {
			return
		}
	}
}
