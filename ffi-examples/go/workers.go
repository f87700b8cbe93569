package wspoll

// #include <wspoll.h>
import "C"

import (
	"runtime"
	"sync"
	"unsafe"
)

// workers run a shard's handlers on goroutines, one at a time for each connection.
//
// A connection has a queue while it has something to do, and nothing otherwise. Queues that nobody works on stand in line in
// `ready`. A worker takes the first; if more are in line and no other worker is on its way, it starts one before it calls the
// handler. So while handlers return, one or two goroutines do the work of thousands of connections; and while a handler
// blocks, the next worker is there to go on.
type workers struct {
	shard *shard
	limit int
	busy  sync.WaitGroup // queues that are not yet worked off

	mu     sync.Mutex
	queues map[ConnID]*queue
	// last is the queue of the last push: events of a connection come in runs.
	last     *queue
	ready    []*queue
	head     int // of ready
	starting int
	spare    []*queue
}

// A queue is what a connection's handler has yet to see. The driver fills `in` while a worker is at `work`.
type queue struct {
	conn     ConnID
	in, work backlog
	paused   bool
}

type backlog struct {
	items []item
	bytes []byte
	errs  []error
}

type item struct {
	kind  uint32 // of the event
	count int    // messages dropped; the kind of a message
	begin int    // of the payload, in bytes
	end   int
	err   int // in errs
}

const (
	// keptQueues and keptBytes bound what is kept for reuse, per shard and per queue.
	keptQueues = 256
	keptBytes  = 16 << 10
)

func newWorkers(shard *shard, limit int) *workers {
	return &workers{shard: shard, limit: limit, queues: make(map[ConnID]*queue)}
}

// push queues an event. The caller holds the lock, and calls start afterwards.
func (w *workers) push(conn ConnID, item item, payload []byte, err error) {
	q := w.last
	if q == nil || q.conn != conn {
		q = w.queues[conn]
		if q == nil {
			q = w.queue(conn)
		}
		w.last = q
	}
	in := &q.in
	item.begin = len(in.bytes)
	in.bytes = append(in.bytes, payload...)
	item.end = len(in.bytes)
	if err != nil {
		item.err = len(in.errs)
		in.errs = append(in.errs, err)
	}
	in.items = append(in.items, item)
	if !q.paused && in.cost() > w.limit {
		q.paused = w.shard.pause(conn)
	}
}

// queue puts a connection in line.
func (w *workers) queue(conn ConnID) *queue {
	q := &queue{}
	if n := len(w.spare); n > 0 {
		q, w.spare = w.spare[n-1], w.spare[:n-1]
	}
	q.conn = conn
	w.queues[conn] = q
	w.busy.Add(1)
	w.ready = append(w.ready, q)
	return q
}

// next takes the first queue in line.
func (w *workers) next() *queue {
	if w.head == len(w.ready) {
		return nil
	}
	q := w.ready[w.head]
	w.ready[w.head] = nil
	w.head++
	if w.head == len(w.ready) {
		w.ready, w.head = w.ready[:0], 0
	} else if w.head > 1024 && w.head*2 > len(w.ready) {
		n := copy(w.ready, w.ready[w.head:])
		clear(w.ready[n:])
		w.ready, w.head = w.ready[:n], 0
	}
	return q
}

// start makes sure that somebody comes for what is in line. The caller holds the lock.
func (w *workers) start() {
	if w.starting == 0 && w.head < len(w.ready) {
		w.starting++
		go w.work()
	}
}

// waiting says whether the driver should not wait in the poll, because the workers need its processor.
func (w *workers) waiting() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.head < len(w.ready) && runtime.GOMAXPROCS(0) == 1
}

// yield lets the workers run where they have no other processor: their answers leave with the next call then, and not after
// the runtime has noticed that the driver sits in C.
func (w *workers) yield() {
	if w.waiting() {
		runtime.Gosched()
	}
}

func (w *workers) work() {
	w.mu.Lock()
	w.starting--
	for {
		q := w.next()
		if q == nil {
			break
		}
		w.start()
		q.in, q.work = q.work, q.in
		w.mu.Unlock()
		w.handle(q)
		q.work.reset()
		w.mu.Lock()
		if q.paused && q.in.cost() <= w.limit/2 {
			q.paused = false
			w.shard.resume(q.conn)
		}
		if len(q.in.items) > 0 {
			w.ready = append(w.ready, q)
			continue
		}
		delete(w.queues, q.conn)
		if w.last == q {
			w.last = nil
		}
		if len(w.spare) < keptQueues {
			w.spare = append(w.spare, q)
		}
		w.busy.Done()
	}
	w.mu.Unlock()
}

// cost is in bytes: empty messages cost something too.
func (b *backlog) cost() int { return len(b.bytes) + len(b.items)*int(unsafe.Sizeof(item{})) }

func (b *backlog) reset() {
	clear(b.errs)
	b.items, b.bytes, b.errs = b.items[:0], b.bytes[:0], b.errs[:0]
	if cap(b.bytes) > keptBytes {
		b.bytes = nil
	}
	if cap(b.items)*int(unsafe.Sizeof(item{})) > keptBytes {
		b.items = nil
	}
}

// handle calls the handler for all that a worker has taken of a queue.
func (w *workers) handle(q *queue) {
	hooks := &w.shard.hooks
	c := Conn{w.shard, q.conn}
	work := &q.work
	for i := range work.items {
		it := &work.items[i]
		payload := work.bytes[it.begin:it.end:it.end]
		switch it.kind {
		case C.WSP_EVENT_MESSAGE:
			hooks.Message(c, it.count, payload)
		case C.WSP_EVENT_OPEN:
			hooks.Open(c)
		case C.WSP_EVENT_PONG:
			hooks.Pong(c, payload)
		case C.WSP_EVENT_DRAIN:
			hooks.Drain(c)
		case C.WSP_EVENT_DROPPED:
			hooks.Dropped(c, it.count, work.errs[it.err])
		case C.WSP_EVENT_CLOSE:
			hooks.Close(c, work.errs[it.err])
			w.shard.forget(q.conn)
		}
	}
}
