package wspoll

// #include <wspoll.h>
import "C"

import "runtime"

// queue takes a message of a goroutine that is not the driver.
func (s *shard) queue(to ConnID, kind int, payloads ...[]byte) error {
	if !s.server.isAlive(to) {
		return ErrGone
	}
	cost := 0
	for _, payload := range payloads {
		cost += len(payload) + itemCost
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrServerClosed
	}
	// An empty inbox takes a message of any size, or that could never be sent at all.
	if s.inboxBytes > 0 && s.inboxBytes+cost > s.server.mailboxBytes {
		s.mu.Unlock()
		return ErrBackpressure
	}
	s.inboxBytes += cost
	for _, payload := range payloads {
		if n := len(s.inbox); n > 0 && s.inbox[n-1].push(to, kind, payload) {
			continue
		}
		last := s.segment(len(payload))
		s.inbox = append(s.inbox, last)
		last.push(to, kind, payload)
	}
	s.wakeAndUnlock()
	return nil
}

// segment takes an empty segment with room for a payload.
func (s *shard) segment(bytes int) *segment {
	if n := len(s.spare); n > 0 && bytes <= segmentBytes {
		last := s.spare[n-1]
		s.spare = s.spare[:n-1]
		return last
	}
	return newSegment(bytes)
}

// wakeAndUnlock ends the poll, if the driver is in one and nobody has ended it.
func (s *shard) wakeAndUnlock() {
	wakes := s.polling && !s.woken
	s.woken = s.woken || wakes
	s.mu.Unlock()
	if wakes {
		C.wsp_server_wake(s.native, s.index)
	}
	runtime.KeepAlive(s.server)
}

// do has the driver make a call between two batches. It returns false if there is no driver any more.
func (s *shard) do(call func()) bool {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return false
	}
	s.calls = append(s.calls, call)
	s.wakeAndUnlock()
	return true
}

// post makes a call of the library that goes through the shard's mailbox, in order with what was queued before and what
// will be queued after.
//
// Messages wait in Go, such calls in the library's mailbox, which the driver empties inside its poll. So what waits here is
// moved to the mailbox first; and what is queued from now on is not sent before a poll has begun after this call: it would
// overtake.
func (s *shard) post(call func() C.wsp_status) error {
	if s.isDriver() {
		// Not through the mailbox: straight to where `local` goes.
		s.flush()
		return explain(call)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrServerClosed
	}
	s.moveInbox()
	err := explain(call)
	s.posted++
	runtime.KeepAlive(s.server)
	return err
}

// moveInbox moves what waits in Go to the library's mailbox.
func (s *shard) moveInbox() {
	if len(s.inbox) == 0 {
		return
	}
	for _, segment := range s.inbox {
		segment.send(s.native, s.refuseLocked)
	}
	s.recycle(s.inbox)
	s.inbox, s.inboxBytes = nil, 0
	s.posted++
}

// postAll is post for a call that concerns every shard.
func (s *Server) postAll(call func() C.wsp_status) error {
	for _, shard := range s.shards {
		if shard.isDriver() {
			shard.flush()
			continue
		}
		shard.mu.Lock()
		if !shard.closed {
			shard.moveInbox()
		}
		shard.mu.Unlock()
	}
	err := explain(call)
	for _, shard := range s.shards {
		if !shard.isDriver() {
			shard.mu.Lock()
			shard.posted++
			shard.mu.Unlock()
		}
	}
	runtime.KeepAlive(s)
	return err
}
