package wspoll

// #include <wspoll.h>
import "C"

import "runtime"

// pause stops reading a connection whose queue is full. On the driving goroutine.
func (s *shard) pause(conn ConnID) bool {
	return C.wsp_server_pause(s.native, C.wsp_conn_id(conn)) == C.WSP_STATUS_OK
}

// resume has the driver read it again.
func (s *shard) resume(conn ConnID) {
	s.do(func() { C.wsp_server_resume(s.native, C.wsp_conn_id(conn)) })
}

// isAlive says whether a connection has not ended, as far as this thread can know.
func (s *Server) isAlive(conn ConnID) bool {
	defer runtime.KeepAlive(s)
	return bool(C.wsp_server_is_alive(s.native, C.wsp_conn_id(conn)))
}
