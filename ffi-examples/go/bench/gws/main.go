// Command gws is an echo server on lxzan/gws, to measure against: one goroutine per connection, callbacks.
package main

import (
	"flag"
	"log"

	"github.com/lxzan/gws"
)

type echo struct{ gws.BuiltinEventHandler }

func (echo) OnPing(conn *gws.Conn, payload []byte) { _ = conn.WritePong(payload) }

func (echo) OnMessage(conn *gws.Conn, message *gws.Message) {
	defer message.Close()
	_ = conn.WriteMessage(message.Opcode, message.Bytes())
}

func main() {
	addr := flag.String("listen", "127.0.0.1:8000", "address to listen on")
	flag.Parse()
	server := gws.NewServer(echo{}, &gws.ServerOption{CheckUtf8Enabled: true})
	log.Fatal(server.Run(*addr))
}
