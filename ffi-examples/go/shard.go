package wspoll

// #include <stdlib.h>
// #include <wspoll.h>
import "C"

import (
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"wspoll/internal/gid"
)

// batchEvents is how many events one crossing into C brings at most: at 64 bytes an event, what fits a second-level cache
// together with the read buffer. Beyond some hundred, the crossing's share of an event is below a nanosecond.
const batchEvents = 1024

// A shard is one event loop: the connections that it owns, the goroutine that drives it, and what other goroutines want
// of it.
//
// The goroutine is locked to a thread. Each turn sends what was queued, by one call; polls, by one call; and hands out the
// events. What it queues itself goes to `local` without a lock. All others queue in `inbox`, under `mu`, or call the library
// under `mu`; so everything that goroutines do is in one order, and that order is kept: see [shard.post].
type shard struct {
	server *Server
	native *C.wsp_server
	index  C.uint32_t
	hooks  HandlerFuncs
	inline bool

	// The driving goroutine's own.
	events  []event
	local   *segment
	opening map[ConnID]opening
	turn    uint64
	workers *workers
	done    chan struct{}
	err     error

	// driver is what gid.Self returns on the driving goroutine, 0 when there is none.
	driver atomic.Uintptr

	mu sync.Mutex
	// inbox holds messages of other goroutines until the next turn.
	inbox      []*segment
	inboxBytes int
	spare      []*segment
	calls      []func()
	refusals   []refusal
	polling    bool // the driver waits, or is about to
	woken      bool
	closed     bool
	// posted counts calls that went to the shard's mailbox; done with are those up to executed. What is in the inbox came
	// after all that are posted.
	posted, executed uint64
	values           map[ConnID]any
}

type refusal struct {
	conn     ConnID
	messages int
	err      error
}

// opening is what is to be done when an accepted connection opens.
type opening struct {
	accept *Accept
	turn   uint64
}

// keptSegments bounds what an inbox keeps for its next burst, some 100 KiB each.
const keptSegments = 8

func newShard(server *Server, index int) *shard {
	s := &shard{
		server: server,
		native: server.native,
		index:  C.uint32_t(index),
		hooks:  server.hooks,
		inline: server.config.Inline,
		done:   make(chan struct{}),
		values: make(map[ConnID]any),
	}
	s.workers = newWorkers(s, server.config.QueueBytes)
	return s
}

// isDriver says whether the caller is the driving goroutine. A no may be wrong, where goroutines are not told apart; the
// other way is then slower, not different.
func (s *shard) isDriver() bool {
	driver := s.driver.Load()
	return driver != 0 && driver == gid.Self()
}

func (s *shard) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	events := C.calloc(batchEvents, C.size_t(unsafe.Sizeof(event{})))
	s.events = unsafe.Slice((*event)(events), batchEvents)
	s.local = newSegment(0)
	s.opening = make(map[ConnID]opening)
	s.driver.Store(gid.Self())
	for full := false; ; {
		wait := s.prepare()
		var count C.size_t
		status := C.wsp_server_poll(s.native, s.index, (*C.wsp_event)(events), batchEvents, wait.timeout, &count)
		s.mu.Lock()
		s.polling = false
		if !full {
			// With a full batch before, this poll may only have handed out what was left.
			s.executed = wait.posted
		}
		s.mu.Unlock()
		if status != C.WSP_STATUS_OK {
			if status != C.WSP_STATUS_SHUT_DOWN {
				s.err = explained(status)
			}
			break
		}
		full = count == batchEvents
		s.dispatch(s.events[:count], full)
	}
	s.end()
	C.free(events)
}

type wait struct {
	timeout C.int32_t
	posted  uint64
}

// prepare sends what is queued and does what was asked for, and says how long the poll may wait.
func (s *shard) prepare() wait {
	s.flush()
	hurry := s.workers.waiting()
	s.mu.Lock()
	for len(s.calls) > 0 || len(s.refusals) > 0 || len(s.inbox) > 0 && s.posted == s.executed {
		calls, refusals := s.calls, s.refusals
		s.calls, s.refusals = nil, nil
		var inbox []*segment
		if s.posted == s.executed {
			inbox, s.inbox, s.inboxBytes = s.inbox, nil, 0
		}
		s.mu.Unlock()
		for _, segment := range inbox {
			segment.send(s.native, s.refuse)
		}
		for _, r := range refusals {
			s.dropped(r.conn, r.messages, r.err)
		}
		for _, call := range calls {
			call()
		}
		s.flush()
		s.mu.Lock()
		s.recycle(inbox)
	}
	wait := wait{timeout: -1, posted: s.posted}
	// A message in the inbox waits for calls that are in the mailbox before it: the poll does them.
	if len(s.inbox) > 0 || hurry {
		wait.timeout = 0
	}
	s.polling, s.woken = true, false
	s.mu.Unlock()
	return wait
}

func (s *shard) dispatch(events []event, full bool) {
	s.turn++
	if s.inline {
		for i := range events {
			s.handle(&events[i])
		}
	} else {
		if len(events) > 0 {
			s.workers.mu.Lock()
			for i := range events {
				s.handle(&events[i])
			}
			s.workers.start()
			s.workers.mu.Unlock()
		}
		s.workers.yield()
	}
	if !full && len(s.opening) > 0 {
		// What was accepted before this turn's poll has opened in it, or never will.
		for id, opening := range s.opening {
			if opening.turn+1 < s.turn {
				delete(s.opening, id)
			}
		}
	}
}

// flush hands what the driver queued to the outboxes.
func (s *shard) flush() {
	if s.local.count > 0 {
		s.local.send(s.native, s.refuse)
	}
}

// refuse notes that a message was not taken. Nobody is told before the running call of the handler returns.
func (s *shard) refuse(conn ConnID, status C.wsp_status) {
	s.mu.Lock()
	s.refuseLocked(conn, status)
	s.mu.Unlock()
}

func (s *shard) refuseLocked(conn ConnID, status C.wsp_status) {
	s.refusals = append(s.refusals, refusal{conn, 1, failure(status)})
}

// dropped tells of a dropped message, and does to a connection that takes nothing what slow_consumer says.
func (s *shard) dropped(conn ConnID, messages int, err error) {
	if err == ErrBackpressure && s.server.closesSlow {
		C.wsp_server_close(s.native, C.wsp_conn_id(conn), ClosePolicyViolation, slowConsumer)
	}
	if s.hooks.Dropped == nil {
		return
	}
	if s.inline {
		s.hooks.Dropped(Conn{s, conn}, messages, err)
		return
	}
	s.workers.mu.Lock()
	s.workers.push(conn, item{kind: C.WSP_EVENT_DROPPED, count: messages}, nil, err)
	s.workers.start()
	s.workers.mu.Unlock()
}

var slowConsumer = C.CString("slow consumer")

// recycle keeps or frees segments that were sent.
func (s *shard) recycle(segments []*segment) {
	for _, segment := range segments {
		if segment.isStandard() && len(s.spare) < keptSegments {
			s.spare = append(s.spare, segment)
		} else {
			segment.free()
		}
	}
}

// end lets go of everything; the library has handed out its last event.
func (s *shard) end() {
	s.driver.Store(0)
	s.mu.Lock()
	s.closed = true
	calls, segments := s.calls, append(s.inbox, s.spare...)
	s.calls, s.inbox, s.spare = nil, nil, nil
	clear(s.values)
	s.mu.Unlock()
	for _, call := range calls {
		call()
	}
	for _, segment := range append(segments, s.local) {
		segment.free()
	}
	C.wsp_server_release(s.native, s.index)
	close(s.done)
}
