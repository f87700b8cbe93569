package wspoll

// #include <stdlib.h>
// #include <wspoll.h>
//
//
// #cgo noescape wsp_server_poll
// #cgo nocallback wsp_server_poll
// #cgo noescape wsp_server_send_many
// #cgo nocallback wsp_server_send_many
// #cgo noescape wsp_server_wake
// #cgo nocallback wsp_server_wake
// #cgo noescape wsp_server_publish
// #cgo nocallback wsp_server_publish
// #cgo noescape wsp_server_broadcast
// #cgo nocallback wsp_server_broadcast
import "C"

import (
	"fmt"
	"runtime"
	"strings"
	"unsafe"
)

// event is wsp_event as Go reads it. The library fills an array of them in C memory.
type event struct {
	kind     uint32
	flags    uint32
	conn     ConnID
	user     uintptr
	data     *byte
	len      int
	value    uint64
	request  *C.wsp_request
	cause    uint16
	code     uint16
	sent     uint16
	received uint16
}

// payload is the event's bytes in the library's memory, valid until the next poll.
func (e *event) payload() []byte {
	if e.len == 0 {
		return []byte{}
	}
	return unsafe.Slice(e.data, e.len)
}

// outgoing is wsp_outgoing as Go writes it. Data is a number, not a pointer, because it never points into Go memory: it
// is an address in a segment or in the shard's read buffer.
type outgoing struct {
	conn   ConnID
	data   uintptr
	len    int
	kind   uint32
	status int32
}

// A layout that differs from the header's does not compile.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(event{})-unsafe.Sizeof(C.wsp_event{})]
	_ = [1]struct{}{}[unsafe.Offsetof(event{}.data)-unsafe.Offsetof(C.wsp_event{}.data)]
	_ = [1]struct{}{}[unsafe.Offsetof(event{}.request)-unsafe.Offsetof(C.wsp_event{}.request)]
	_ = [1]struct{}{}[unsafe.Offsetof(event{}.received)-unsafe.Offsetof(C.wsp_event{}.received_code)]
	_ = [1]struct{}{}[unsafe.Sizeof(outgoing{})-unsafe.Sizeof(C.wsp_outgoing{})]
	_ = [1]struct{}{}[unsafe.Offsetof(outgoing{}.kind)-unsafe.Offsetof(C.wsp_outgoing{}.kind)]
	_ = [1]struct{}{}[unsafe.Offsetof(outgoing{}.status)-unsafe.Offsetof(C.wsp_outgoing{}.status)]
	_ = [1]struct{}{}[TextMessage-C.WSP_MESSAGE_TEXT]
	_ = [1]struct{}{}[BinaryMessage-C.WSP_MESSAGE_BINARY]
	_ = [1]struct{}{}[CauseLost-C.WSP_CLOSE_CAUSE_LOST]
)

// explain makes a call and an error of its status, in the library's own words: these belong to the thread of the call.
func explain(call func() C.wsp_status) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return explained(call())
}

// explainError runs what makes several calls, on one thread.
func explainError(calls func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return calls()
}

// text is a C string in Go memory, valid for the call that it is passed to.
func text(s string) (*C.char, error) {
	if strings.IndexByte(s, 0) >= 0 {
		return nil, fmt.Errorf("%w: %q holds a zero byte", ErrInvalidArgument, s)
	}
	terminated := make([]byte, len(s)+1)
	copy(terminated, s)
	return (*C.char)(unsafe.Pointer(&terminated[0])), nil
}

func bytesOf(payload []byte) (*C.uint8_t, C.size_t) {
	return (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(payload))), C.size_t(len(payload))
}

func bytesPointer(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }
