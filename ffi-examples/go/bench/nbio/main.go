// Command nbio is an echo server on lesismal/nbio, to measure against: epoll loops of its own, no goroutine per connection.
package main

import (
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"

	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"
)

func main() {
	addr := flag.String("listen", "127.0.0.1:8000", "address to listen on")
	flag.Parse()
	upgrader := websocket.NewUpgrader()
	upgrader.CheckOrigin = func(*http.Request) bool { return true }
	upgrader.OnMessage(func(conn *websocket.Conn, kind websocket.MessageType, payload []byte) {
		_ = conn.WriteMessage(kind, payload)
	})
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = upgrader.Upgrade(w, r, nil)
	})
	engine := nbhttp.NewEngine(nbhttp.Config{Network: "tcp", Addrs: []string{*addr}, MaxLoad: 1 << 20, Handler: mux})
	if err := engine.Start(); err != nil {
		log.Fatal(err)
	}
	defer engine.Stop()
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, os.Interrupt)
	<-interrupt
}
