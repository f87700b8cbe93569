package wspoll

// #include <wspoll.h>
import "C"

import "unsafe"

// handle hands one event to the handler (inline) or to the connection's queue.
func (s *shard) handle(e *event) {
	switch e.kind {
	case C.WSP_EVENT_MESSAGE:
		s.message(e)
	case C.WSP_EVENT_OPEN:
		s.opened(e)
	case C.WSP_EVENT_CLOSE:
		s.ended(e)
	case C.WSP_EVENT_UPGRADE:
		s.upgrade(e)
	case C.WSP_EVENT_DRAIN:
		if s.hooks.Drain != nil {
			if s.inline {
				s.hooks.Drain(Conn{s, e.conn})
			} else {
				s.workers.push(e.conn, item{kind: e.kind}, nil, nil)
			}
		}
	case C.WSP_EVENT_PONG:
		if s.hooks.Pong != nil {
			if s.inline {
				s.hooks.Pong(Conn{s, e.conn}, e.payload())
			} else {
				s.workers.push(e.conn, item{kind: e.kind}, e.payload(), nil)
			}
		}
	case C.WSP_EVENT_DROPPED:
		err := ErrBackpressure
		if e.cause == C.WSP_DROP_REASON_GONE {
			err = ErrGone
		}
		if s.hooks.Dropped != nil {
			if s.inline {
				s.hooks.Dropped(Conn{s, e.conn}, int(e.value), err)
			} else {
				s.workers.push(e.conn, item{kind: e.kind, count: int(e.value)}, nil, err)
			}
		}
	}
}

func (s *shard) message(e *event) {
	if s.hooks.Message == nil {
		return
	}
	kind := BinaryMessage
	if e.flags&C.WSP_EVENT_FLAG_TEXT != 0 {
		kind = TextMessage
	}
	if !s.inline {
		s.workers.push(e.conn, item{kind: e.kind, count: kind}, e.payload(), nil)
		return
	}
	// What the handler sends back of it needs no copy.
	payload := e.payload()
	at := uintptr(unsafe.Pointer(unsafe.SliceData(payload)))
	s.local.lentLow, s.local.lentHigh = at, at+uintptr(len(payload))
	s.hooks.Message(Conn{s, e.conn}, kind, payload)
}

func (s *shard) opened(e *event) {
	if accept := s.accepted(e); accept != nil {
		c := Conn{s, e.conn}
		if accept.Value != nil {
			_ = c.SetValue(accept.Value)
		}
		for _, room := range accept.Rooms {
			_ = c.Join(room)
		}
	}
	if s.hooks.Open == nil {
		return
	}
	if s.inline {
		s.hooks.Open(Conn{s, e.conn})
	} else {
		s.workers.push(e.conn, item{kind: e.kind}, nil, nil)
	}
}

// accepted returns what was said when the connection was accepted, if anything.
func (s *shard) accepted(e *event) *Accept {
	if e.user != 0 {
		return s.server.takeAdopted(e.user)
	}
	if len(s.opening) == 0 {
		return nil
	}
	accept := s.opening[e.conn].accept
	delete(s.opening, e.conn)
	return accept
}

func (s *shard) ended(e *event) {
	if s.hooks.Close == nil {
		s.forget(e.conn)
		// Nothing is queued behind this: what is queued before it needs no value.
		return
	}
	err := &CloseError{
		Code:  int(e.code),
		Text:  string(e.payload()),
		Sent:  int(e.sent),
		Cause: CloseCause(e.cause),
	}
	if s.inline {
		s.hooks.Close(Conn{s, e.conn}, err)
		s.forget(e.conn)
	} else {
		s.workers.push(e.conn, item{kind: e.kind}, nil, err)
	}
}

// forget lets go of an ended connection's value.
func (s *shard) forget(conn ConnID) {
	s.mu.Lock()
	delete(s.values, conn)
	s.mu.Unlock()
}
