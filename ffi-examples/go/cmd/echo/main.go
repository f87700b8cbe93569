// Command echo sends every message back.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"

	"wspoll"
)

func main() {
	addr := flag.String("listen", "127.0.0.1:8000", "address to listen on")
	shards := flag.Int("shards", 0, "event loops (0: one per CPU)")
	inline := flag.Bool("inline", false, "run the handler on the event loops")
	anyOrigin := flag.Bool("any-origin", false, "let pages of every origin connect")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	config := wspoll.Config{
		Addr:   *addr,
		Shards: *shards,
		Inline: *inline,
		Handler: wspoll.HandlerFuncs{
			Message: func(c wspoll.Conn, kind int, payload []byte) {
				if err := c.Write(kind, payload); err != nil {
					log.Printf("connection %d: %v", c.ID(), err)
				}
			},
		},
	}
	if *anyOrigin {
		config.CheckOrigin = func(*http.Request) bool { return true }
	}
	server, err := wspoll.Listen(ctx, config)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on ws://%s\n", server.Addr())
	if err := server.Wait(); err != nil {
		log.Fatal(err)
	}
}
