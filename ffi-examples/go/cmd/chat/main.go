// Command chat has rooms: ws://HOST/chat/ROOM?name=NAME sends what anybody in a room says to everybody in it. It lives inside
// an ordinary net/http server.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"wspoll"
)

// line is what clients get.
type line struct {
	From string `json:"from"`
	Text string `json:"text"`
}

// guest is what is kept with a connection.
type guest struct{ name, room string }

type chat struct{}

func (chat) OnOpen(c wspoll.Conn) { say(c, "has come") }

func (chat) OnMessage(c wspoll.Conn, kind int, payload []byte) {
	if kind != wspoll.TextMessage {
		_ = c.Close(wspoll.CloseUnsupportedData, "text only")
		return
	}
	say(c, string(payload))
}

func (chat) OnClose(c wspoll.Conn, err error) {
	if wspoll.IsUnexpectedCloseError(err, wspoll.CloseNormalClosure, wspoll.CloseGoingAway) {
		log.Printf("connection %d: %v", c.ID(), err)
	}
	say(c, "has left")
}

func say(c wspoll.Conn, text string) {
	who, ok := c.Value().(guest)
	if !ok {
		return
	}
	message, err := json.Marshal(line{From: who.name, Text: text})
	if err == nil {
		err = c.Server().Publish(who.room, wspoll.TextMessage, message)
	}
	if err != nil && !errors.Is(err, wspoll.ErrServerClosed) {
		log.Printf("room %s: %v", who.room, err)
	}
}

func main() {
	addr := flag.String("listen", "127.0.0.1:8000", "address to listen on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	// It has no address of its own: the HTTP server hands connections over.
	server, err := wspoll.Listen(ctx, wspoll.Config{Handler: chat{}, ReadLimit: 4096})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /chat/{room}", func(w http.ResponseWriter, r *http.Request) {
		who := guest{name: r.FormValue("name"), room: r.PathValue("room")}
		if who.name == "" {
			http.Error(w, "?name= is missing", http.StatusBadRequest)
			return
		}
		err := server.Upgrade(w, r, &wspoll.Accept{Value: who, Rooms: []string{who.room}})
		var refused *wspoll.UpgradeError
		switch {
		case errors.As(err, &refused):
			http.Error(w, refused.Message, refused.Status)
		case err != nil:
			log.Print(err)
		}
	})
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on ws://%s/chat/ROOM?name=NAME\n", listener.Addr())
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = web.Close() })
	if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	if err := server.Wait(); err != nil {
		log.Fatal(err)
	}
}
