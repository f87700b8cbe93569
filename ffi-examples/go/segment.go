package wspoll

// #include <stdlib.h>
// #include <wspoll.h>
import "C"

import "unsafe"

const (
	// segmentItems is as many messages as one call of send_many takes from here.
	segmentItems = 1024
	// segmentBytes is room for their payloads.
	segmentBytes = 64 << 10
	// itemCost is what a message costs beside its payload, in bytes.
	itemCost = int(unsafe.Sizeof(outgoing{}))
)

// A segment holds messages on their way to send_many. It lies in C memory: the library reads the payloads by the addresses
// in the items, and Go pointers must not be stored where C reads them.
type segment struct {
	items []outgoing
	count int
	data  []byte
	used  int
	// begin and end of what may be lent instead of copied.
	lentLow, lentHigh uintptr
}

// newSegment makes a segment with room for a payload of so many bytes at least.
func newSegment(bytes int) *segment {
	bytes = max(bytes, segmentBytes)
	items := (*outgoing)(C.calloc(segmentItems, C.size_t(unsafe.Sizeof(outgoing{}))))
	data := (*byte)(C.malloc(C.size_t(bytes)))
	return &segment{items: unsafe.Slice(items, segmentItems), data: unsafe.Slice(data, bytes)}
}

func (s *segment) free() {
	C.free(unsafe.Pointer(unsafe.SliceData(s.items)))
	C.free(unsafe.Pointer(unsafe.SliceData(s.data)))
	s.items, s.data = nil, nil
}

// isStandard says whether the segment is worth keeping: those for large messages are not.
func (s *segment) isStandard() bool { return len(s.data) == segmentBytes }

func (s *segment) reset() { s.count, s.used = 0, 0 }

// push queues a message; false means that there is no room.
func (s *segment) push(to ConnID, kind int, payload []byte) bool {
	if s.count == len(s.items) {
		return false
	}
	at := uintptr(unsafe.Pointer(unsafe.SliceData(payload)))
	if at < s.lentLow || at+uintptr(len(payload)) > s.lentHigh {
		room := s.data[s.used:]
		if len(payload) > len(room) {
			return false
		}
		at = uintptr(unsafe.Pointer(unsafe.SliceData(room)))
		s.used += copy(room, payload)
	}
	item := &s.items[s.count]
	item.conn, item.data, item.len, item.kind = to, at, len(payload), uint32(kind)
	s.count++
	return true
}

// send hands the messages to the library: straight to the outboxes on the thread that drives their shard, else through
// mailboxes. Refused is called for each that was not taken.
func (s *segment) send(server *C.wsp_server, refused func(to ConnID, status C.wsp_status)) {
	if s.count == 0 {
		return
	}
	var sent C.size_t
	items := (*C.wsp_outgoing)(unsafe.Pointer(unsafe.SliceData(s.items)))
	status := C.wsp_server_send_many(server, items, C.size_t(s.count), &sent)
	if status != C.WSP_STATUS_OK || int(sent) != s.count {
		for i := range s.items[:s.count] {
			item := &s.items[i]
			if status != C.WSP_STATUS_OK {
				refused(item.conn, status)
			} else if item.status != C.WSP_STATUS_OK {
				refused(item.conn, C.wsp_status(item.status))
			}
		}
	}
	s.reset()
}
