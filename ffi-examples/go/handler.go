package wspoll

// A Handler is told what happens to connections.
//
// By default its methods run on goroutines, one at a time and in order for each connection: one that blocks delays its own
// connection only. With [Config.Inline] they run on the goroutine that drives the connection's shard, with nothing between
// the network and them: fastest, but a method that blocks holds up every connection of the shard.
//
// Either way the payload belongs to the library: it is valid until the method returns, and must be copied to be kept. It may be
// passed to [Conn.Write], and must not be changed. A panic ends the program, as in any goroutine.
//
// A Handler may have more methods: see [DrainHandler], [PongHandler], [DroppedHandler].
type Handler interface {
	// OnOpen is the first call for a connection.
	OnOpen(c Conn)
	// OnMessage is called for each message; kind is [TextMessage] or [BinaryMessage]. Text is valid UTF-8.
	OnMessage(c Conn, kind int, payload []byte)
	// OnClose is the last call for a connection; err is a [*CloseError], also after a normal close. Of the Conn only ID
	// and Value still work.
	OnClose(c Conn, err error)
}

// A DrainHandler is a [Handler] that wants to know when a connection takes messages again: its outbox, for whose fullness a
// message was dropped or reading paused, is below half its bound.
type DrainHandler interface{ OnDrain(c Conn) }

// A PongHandler is a [Handler] that wants to see pongs. Pings are answered without a call.
type PongHandler interface{ OnPong(c Conn, payload []byte) }

// A DroppedHandler is a [Handler] that wants to know of messages that were taken by a call and dropped afterwards. err is
// [ErrGone] (the connection ended first) or [ErrBackpressure] (its outbox was full).
type DroppedHandler interface {
	OnDropped(c Conn, messages int, err error)
}

// HandlerFuncs is a [Handler] made of functions. Those that are nil are not called, and cost nothing.
type HandlerFuncs struct {
	Open    func(c Conn)
	Message func(c Conn, kind int, payload []byte)
	Close   func(c Conn, err error)
	Drain   func(c Conn)
	Pong    func(c Conn, payload []byte)
	Dropped func(c Conn, messages int, err error)
}

// OnOpen calls Open.
func (h HandlerFuncs) OnOpen(c Conn) {
	if h.Open != nil {
		h.Open(c)
	}
}

// OnMessage calls Message.
func (h HandlerFuncs) OnMessage(c Conn, kind int, payload []byte) {
	if h.Message != nil {
		h.Message(c, kind, payload)
	}
}

// OnClose calls Close.
func (h HandlerFuncs) OnClose(c Conn, err error) {
	if h.Close != nil {
		h.Close(c, err)
	}
}

// hooksOf takes a handler apart, so that events nobody wants are dropped where they come in.
func hooksOf(handler Handler) HandlerFuncs {
	switch h := handler.(type) {
	case nil:
		return HandlerFuncs{}
	case HandlerFuncs:
		return h
	case *HandlerFuncs:
		return *h
	}
	hooks := HandlerFuncs{Open: handler.OnOpen, Message: handler.OnMessage, Close: handler.OnClose}
	if h, ok := handler.(DrainHandler); ok {
		hooks.Drain = h.OnDrain
	}
	if h, ok := handler.(PongHandler); ok {
		hooks.Pong = h.OnPong
	}
	if h, ok := handler.(DroppedHandler); ok {
		hooks.Dropped = h.OnDropped
	}
	return hooks
}
