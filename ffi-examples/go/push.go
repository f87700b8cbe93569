package wspoll

// #include <wspoll.h>
import "C"

import (
	"context"
	"fmt"
	"runtime"
	"time"
	"unsafe"
)

// A Target says for whom a push is: everybody, or the members of a room, or a list of connections; less one, if so wished.
type Target struct {
	Room   string   // the members of this room; "" for everybody
	Conns  []ConnID // if not nil, these connections, whatever Room says
	Except ConnID   // not this one, most often the sender; 0 is nobody. Not with Conns
}

// Pushed tells how far a push came.
type Pushed struct {
	Delivered uint64 // connections whose queue took the message
	Dropped   uint64 // connections whose queue was full; see the setting "slow_consumer"
	Unknown   uint64 // of a list, ids that no open connection has; of a room, 1 if it has no members
}

// A Policy says what happens to a push for which a connection's queue has no room.
type Policy int

// The policies. PolicyClose closes the connection with 1008, PolicyDropNew drops the push, PolicyDropOld drops the oldest
// messages that wait.
const (
	PolicyClose   Policy = C.WSP_SLOW_CONSUMER_CLOSE
	PolicyDropNew Policy = C.WSP_SLOW_CONSUMER_DROP_NEW
	PolicyDropOld Policy = C.WSP_SLOW_CONSUMER_DROP_OLD
)

var errWaitsForItself = fmt.Errorf("%w: an inline handler would wait for itself", ErrInvalidArgument)

// look is for how long a wait goes without a look at its context.
const look = 50 * time.Millisecond

// Push sends a message, encoded once, and returns how many connections' queues took it. It waits for the shards to take it
// until the context ends; the message goes its way all the same. An inline handler must not call it: it would wait for
// itself.
//
// Errors: as [Server.Publish]; the context's; [ErrInvalidArgument] inside an inline handler.
func (s *Server) Push(ctx context.Context, target Target, kind int, payload []byte) (Pushed, error) {
	if s.isAnyDriver() {
		return Pushed{}, errWaitsForItself
	}
	var receipt *C.wsp_receipt
	if err := s.push(target, kind, payload, &receipt); err != nil {
		return Pushed{}, err
	}
	defer C.wsp_receipt_free(receipt)
	for {
		// The shards most often answer at once.
		var pushed C.wsp_pushed
		switch status := C.wsp_receipt_wait(receipt, C.uint32_t(look.Milliseconds()), &pushed); status {
		case C.WSP_STATUS_OK:
			return Pushed{uint64(pushed.delivered), uint64(pushed.dropped), uint64(pushed.unknown)}, nil
		case C.WSP_STATUS_TIMED_OUT:
			if err := ctx.Err(); err != nil {
				return Pushed{}, err
			}
		default:
			return Pushed{}, failure(status)
		}
	}
}

// PublishExcept sends a message to every connection in a room but one, most often the sender. Otherwise it is like Publish.
func (s *Server) PublishExcept(room string, except ConnID, kind int, payload []byte) error {
	// An empty name is a room, too.
	name, err := text(room)
	if err != nil {
		return err
	}
	data, size := bytesOf(payload)
	return s.postAll(func() C.wsp_status {
		return C.wsp_server_push_room(s.native, name, C.wsp_conn_id(except), C.wsp_message_kind(kind), data, size, nil)
	})
}

// BroadcastExcept sends a message to every connection but one. Otherwise it is like Publish.
func (s *Server) BroadcastExcept(except ConnID, kind int, payload []byte) error {
	return s.push(Target{Except: except}, kind, payload, nil)
}

func (s *Server) push(target Target, kind int, payload []byte, receipt **C.wsp_receipt) error {
	name, err := text(target.Room)
	if err != nil {
		return err
	}
	data, size := bytesOf(payload)
	except := C.wsp_conn_id(target.Except)
	return s.postAll(func() C.wsp_status {
		switch {
		case target.Conns != nil:
			var ids *C.wsp_conn_id
			if len(target.Conns) > 0 {
				ids = (*C.wsp_conn_id)(unsafe.Pointer(&target.Conns[0]))
			}
			return C.wsp_server_push_conns(s.native, ids, C.size_t(len(target.Conns)), C.wsp_message_kind(kind), data, size, receipt)
		case target.Room != "":
			return C.wsp_server_push_room(s.native, name, except, C.wsp_message_kind(kind), data, size, receipt)
		default:
			return C.wsp_server_push_all(s.native, except, C.wsp_message_kind(kind), data, size, receipt)
		}
	})
}

// RoomMembers counts the members of a room. It waits for the shards until the context ends. An inline handler must not call
// it.
//
// Errors: as [Server.Push].
func (s *Server) RoomMembers(ctx context.Context, room string) (int, error) {
	if s.isAnyDriver() {
		return 0, errWaitsForItself
	}
	name, err := text(room)
	if err != nil {
		return 0, err
	}
	defer runtime.KeepAlive(s)
	for {
		var members C.size_t
		switch status := C.wsp_server_room_members(s.native, name, C.uint32_t(look.Milliseconds()), &members); status {
		case C.WSP_STATUS_OK:
			return int(members), nil
		case C.WSP_STATUS_TIMED_OUT:
			if err := ctx.Err(); err != nil {
				return 0, err
			}
		default:
			return 0, failure(status)
		}
	}
}

// SetRoomPolicy gives pushes to a room a policy of their own. Up to 1,024 rooms can have one.
func (s *Server) SetRoomPolicy(room string, policy Policy) error {
	name, err := text(room)
	if err != nil {
		return err
	}
	return s.postAll(func() C.wsp_status {
		return C.wsp_server_set_room_policy(s.native, name, C.wsp_slow_consumer(policy))
	})
}

// ClearRoomPolicy lets the server's policy hold for a room again.
func (s *Server) ClearRoomPolicy(room string) error {
	name, err := text(room)
	if err != nil {
		return err
	}
	return s.postAll(func() C.wsp_status {
		return C.wsp_server_clear_room_policy(s.native, name)
	})
}
