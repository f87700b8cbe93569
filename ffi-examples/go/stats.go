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

	// Bytes that wait to be sent, now: what is left of each outbox after it was tried, and what gathers
	// (Config.PushMerge).
	QueueBytes uint64
	// Calls of the system by which bytes were sent; what leaves together counts once.
	Sends uint64
	// Memberships, now: the sum of the rooms' members.
	Memberships uint64
	// Bytes of memory of the shard's own structures, now: entries, timers, rooms, read buffer and spare outboxes.
	// What waits to be sent is counted by QueueBytes. Looked at when the clock of the timers moves.
	Memory uint64
	// Of Dropped: because the policy is to close slow consumers.
	DroppedSlowConsumer uint64
	// Of Dropped: new messages, because the policy is to drop those.
	DroppedNew uint64
	// Of Dropped: old messages, because the policy is to drop those.
	DroppedOld uint64
	// Of Dropped: the connection had gone.
	DroppedGone uint64
	// Connections that were to join a room and were in as many as Config.MaxRoomsPerConnection allows.
	JoinsRefused uint64
	// Calls that found the mailbox full.
	MailboxFull uint64
	// Connections that ended, by close code: that of the peer's close frame (1005 if it had none), or, if no close
	// frame came, that of ours, or 1006 if there was none either.
	Closed1000 uint64
	Closed1001 uint64
	Closed1002 uint64
	Closed1003 uint64
	Closed1005 uint64
	Closed1006 uint64
	Closed1007 uint64
	Closed1008 uint64
	Closed1009 uint64
	Closed1010 uint64
	Closed1011 uint64
	Closed1012 uint64
	Closed1013 uint64
	Closed1014 uint64
	Closed3xxx uint64
	Closed4xxx uint64
	// Of Answered: with 400, the request is not HTTP or not a handshake.
	Answered400 uint64
	// Of Answered: with 403, the origin is not allowed.
	Answered403 uint64
	// Of Answered: with 408, the handshake took too long.
	Answered408 uint64
	// Of Answered: with 426, no upgrade was asked for, or one of another version.
	Answered426 uint64
	// Of Answered: with 429, too many connections from one address.
	Answered429 uint64
	// Of Answered: with 431, the request is too large.
	Answered431 uint64
	// Of Answered: with 503, too many connections, or the server is shutting down.
	Answered503 uint64
	// Of Answered: with any other 4xx.
	Answered4xx uint64
	// Of Answered: with any other 5xx.
	Answered5xx uint64
	// Of Answered: with 2xx and 3xx, which a handler did.
	AnsweredOther uint64
	// Loop lag in nanoseconds: how long a turn lasts, from the end of a wait to the end of all that it brought
	// about, which is how long something that comes meanwhile has to wait. The exponential mean over turns, each of
	// which weighs one sixteenth. In hosted mode, what the host does between two turns is not in it. Of a whole
	// server, that of the slowest shard.
	LoopLagNanoseconds uint64
	// The longest turn in nanoseconds, of this second and the one before; the seconds are 1,024 ms and begin with
	// the shard. Of a whole server, that of the slowest shard.
	LoopLagMaxNanoseconds uint64
	// Of Refused: too many in all.
	RefusedMaxConnections uint64
	// Of Refused: too many from one address.
	RefusedMaxConnectionsPerIP uint64
	// Messages pushed to one connection or a list of them; each call counts once, however many it is for.
	PushedConns uint64
	// Messages pushed to rooms.
	PushedRooms uint64
	// Messages pushed to everybody.
	PushedAll uint64
	// Of Refused: not from a trusted proxy.
	RefusedUntrusted uint64
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
		Connections:                uint64(native.connections),
		Sockets:                    uint64(native.sockets),
		Rooms:                      uint64(native.rooms),
		Opened:                     uint64(native.opened),
		Answered:                   uint64(native.answered),
		MessagesIn:                 uint64(native.messages_in),
		MessagesOut:                uint64(native.messages_out),
		BytesIn:                    uint64(native.bytes_in),
		BytesOut:                   uint64(native.bytes_out),
		Dropped:                    uint64(native.dropped),
		SlowConsumers:              uint64(native.slow_consumers),
		Violations:                 uint64(native.violations),
		Timeouts:                   uint64(native.timeouts),
		Turns:                      uint64(native.turns),
		Accepted:                   uint64(native.accepted),
		AcceptErrors:               uint64(native.accept_errors),
		Refused:                    uint64(native.refused),
		QueueBytes:                 uint64(native.queue_bytes),
		Sends:                      uint64(native.sends),
		Memberships:                uint64(native.memberships),
		Memory:                     uint64(native.memory),
		DroppedSlowConsumer:        uint64(native.dropped_slow_consumer),
		DroppedNew:                 uint64(native.dropped_new),
		DroppedOld:                 uint64(native.dropped_old),
		DroppedGone:                uint64(native.dropped_gone),
		JoinsRefused:               uint64(native.joins_refused),
		MailboxFull:                uint64(native.mailbox_full),
		Closed1000:                 uint64(native.closed_1000),
		Closed1001:                 uint64(native.closed_1001),
		Closed1002:                 uint64(native.closed_1002),
		Closed1003:                 uint64(native.closed_1003),
		Closed1005:                 uint64(native.closed_1005),
		Closed1006:                 uint64(native.closed_1006),
		Closed1007:                 uint64(native.closed_1007),
		Closed1008:                 uint64(native.closed_1008),
		Closed1009:                 uint64(native.closed_1009),
		Closed1010:                 uint64(native.closed_1010),
		Closed1011:                 uint64(native.closed_1011),
		Closed1012:                 uint64(native.closed_1012),
		Closed1013:                 uint64(native.closed_1013),
		Closed1014:                 uint64(native.closed_1014),
		Closed3xxx:                 uint64(native.closed_3xxx),
		Closed4xxx:                 uint64(native.closed_4xxx),
		Answered400:                uint64(native.answered_400),
		Answered403:                uint64(native.answered_403),
		Answered408:                uint64(native.answered_408),
		Answered426:                uint64(native.answered_426),
		Answered429:                uint64(native.answered_429),
		Answered431:                uint64(native.answered_431),
		Answered503:                uint64(native.answered_503),
		Answered4xx:                uint64(native.answered_4xx),
		Answered5xx:                uint64(native.answered_5xx),
		AnsweredOther:              uint64(native.answered_other),
		LoopLagNanoseconds:         uint64(native.loop_lag_ns),
		LoopLagMaxNanoseconds:      uint64(native.loop_lag_max_ns),
		RefusedMaxConnections:      uint64(native.refused_max_connections),
		RefusedMaxConnectionsPerIP: uint64(native.refused_max_connections_per_ip),
		PushedConns:                uint64(native.pushed_conns),
		PushedRooms:                uint64(native.pushed_rooms),
		PushedAll:                  uint64(native.pushed_all),
		RefusedUntrusted:           uint64(native.refused_untrusted),
	}
}
