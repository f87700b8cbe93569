// Command push sends the time to everybody, from a goroutine of its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"wspoll"
)

func main() {
	addr := flag.String("listen", "127.0.0.1:8000", "address to listen on")
	every := flag.Duration("every", time.Second, "time between two messages")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	server, err := wspoll.Listen(ctx, wspoll.Config{
		Addr: *addr,
		Handler: wspoll.HandlerFuncs{
			Open: func(c wspoll.Conn) {
				if err := c.Join("clock"); err != nil {
					log.Printf("connection %d: %v", c.ID(), err)
				}
			},
			// A peer that takes less than it is sent is closed, which is the default; this is how one learns of it.
			Dropped: func(c wspoll.Conn, messages int, err error) {
				log.Printf("connection %d: %d messages dropped: %v", c.ID(), messages, err)
			},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on ws://%s\n", server.Addr())
	go push(server, *every)
	if err := server.Wait(); err != nil {
		log.Fatal(err)
	}
}

func push(server *wspoll.Server, every time.Duration) {
	for now := range time.Tick(every) {
		err := server.Publish("clock", wspoll.TextMessage, now.AppendFormat(nil, time.RFC3339Nano))
		switch {
		case errors.Is(err, wspoll.ErrServerClosed):
			return
		case errors.Is(err, wspoll.ErrBackpressure):
			log.Print("the server is behind: this tick is left out")
		case err != nil:
			log.Print(err)
		}
	}
}
