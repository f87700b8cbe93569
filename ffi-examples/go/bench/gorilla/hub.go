package main

import "github.com/gorilla/websocket"

// Messages that may wait for one client; one that has more is dropped, as in gorilla's chat example.
const clientQueue = 256

type client struct {
	room string
	send chan *websocket.PreparedMessage
}

type published struct {
	room    string
	message *websocket.PreparedMessage
}

// hub is gorilla's chat example with rooms: one goroutine owns the lists of clients. A message is prepared once, however many
// get it.
type hub struct {
	join, leave chan *client
	publish     chan published
}

func newHub() *hub {
	return &hub{make(chan *client), make(chan *client), make(chan published, clientQueue)}
}

func (h *hub) run() {
	rooms := map[string]map[*client]struct{}{}
	remove := func(c *client) {
		if _, inside := rooms[c.room][c]; inside {
			delete(rooms[c.room], c)
			close(c.send)
		}
	}
	for {
		select {
		case c := <-h.join:
			if rooms[c.room] == nil {
				rooms[c.room] = map[*client]struct{}{}
			}
			rooms[c.room][c] = struct{}{}
		case c := <-h.leave:
			remove(c)
		case p := <-h.publish:
			for c := range rooms[p.room] {
				select {
				case c.send <- p.message:
				default:
					remove(c)
				}
			}
		}
	}
}

func (h *hub) serve(conn *websocket.Conn, room string) {
	c := &client{room, make(chan *websocket.PreparedMessage, clientQueue)}
	h.join <- c
	defer func() { h.leave <- c }()
	go func() {
		defer conn.Close()
		for message := range c.send {
			if conn.WritePreparedMessage(message) != nil {
				return
			}
		}
	}()
	for {
		kind, payload, err := conn.ReadMessage()
		if err != nil {
			return
		}
		message, err := websocket.NewPreparedMessage(kind, payload)
		if err != nil {
			return
		}
		h.publish <- published{room, message}
	}
}
