package wspoll

// #include <wspoll.h>
import "C"

import "runtime"

// Stats is what a server has counted since it began, as of each shard's last turn.
type Stats struct {
	Connections   uint64 // open WebSocket connections, now
	Sockets       uint64 // connections in any state, handshakes and closing ones included, now
	Rooms         uint64 // rooms with members, now; a room counts once for each shard
	Opened        uint64 // connections that were opened by a handshake
	Answered      uint64 // requests that were answered with a status other than 101
	MessagesIn    uint64
	MessagesOut   uint64 // queued for sending; a broadcast counts once for each receiver
	BytesIn       uint64
	BytesOut      uint64
	Dropped       uint64 // messages dropped because an outbox was full or a connection gone
	SlowConsumers uint64 // connections closed because they did not take what was pushed
	Violations    uint64 // connections failed because the peer broke the protocol
	Timeouts      uint64 // connections cut by a timeout
	Turns         uint64 // turns of the loops
	Accepted      uint64 // connections accepted
	AcceptErrors  uint64 // accepts that failed, most often for want of descriptors
	Refused       uint64 // connections refused because there were too many
}

// Stats returns what has been counted.
func (s *Server) Stats() Stats {
	native := C.wsp_stats{size: C.sizeof_wsp_stats}
	status := C.wsp_server_stats(s.native, &native)
	runtime.KeepAlive(s)
	if status != C.WSP_STATUS_OK {
		return Stats{}
	}
	return Stats{
		Connections:   uint64(native.connections),
		Sockets:       uint64(native.sockets),
		Rooms:         uint64(native.rooms),
		Opened:        uint64(native.opened),
		Answered:      uint64(native.answered),
		MessagesIn:    uint64(native.messages_in),
		MessagesOut:   uint64(native.messages_out),
		BytesIn:       uint64(native.bytes_in),
		BytesOut:      uint64(native.bytes_out),
		Dropped:       uint64(native.dropped),
		SlowConsumers: uint64(native.slow_consumers),
		Violations:    uint64(native.violations),
		Timeouts:      uint64(native.timeouts),
		Turns:         uint64(native.turns),
		Accepted:      uint64(native.accepted),
		AcceptErrors:  uint64(native.accept_errors),
		Refused:       uint64(native.refused),
	}
}
