package wspoll

// #include <wspoll.h>
//
// // Go must not keep a number in a pointer, so the number becomes one here.
// static wsp_status wspoll_go_adopt(wsp_server *server, wsp_fd fd, const char *subprotocol, uintptr_t token,
//                                   const uint8_t *early, size_t len) {
//   return wsp_server_adopt_upgraded(server, fd, subprotocol, (void *)token, early, len);
// }
import "C"

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
)

// An Accept says how a connection is accepted. The zero value is the ordinary way.
type Accept struct {
	// Subprotocol is one that the client offered. Default: the first of [Config.Subprotocols] that it did.
	Subprotocol string
	// Header is added to the response: cookies.
	Header http.Header
	// Value is what [Conn.Value] returns from the beginning.
	Value any
	// Rooms are joined before [Handler.OnOpen]. The client may know a moment earlier that it is connected.
	Rooms []string
}

// An UpgradeError refuses an upgrade with a status. [Config.OnUpgrade] returns it; [Server.Upgrade] too.
type UpgradeError struct {
	Status  int // 400 to 599
	Message string
	Header  http.Header
}

func (e *UpgradeError) Error() string {
	message := e.Message
	if message == "" {
		message = http.StatusText(e.Status)
	}
	return fmt.Sprintf("wspoll: upgrade refused with %d: %s", e.Status, message)
}

// decide asks the configuration's functions.
func (c *Config) decide(r *http.Request) (*Accept, error) {
	if c.CheckOrigin != nil && !c.CheckOrigin(r) {
		return nil, &UpgradeError{Status: http.StatusForbidden, Message: "origin not allowed"}
	}
	if c.OnUpgrade == nil {
		return nil, nil
	}
	return c.OnUpgrade(r)
}

// refusalOf makes a refusal of any error.
func refusalOf(err error) *UpgradeError {
	var refused *UpgradeError
	if errors.As(err, &refused) && refused.Status >= 400 && refused.Status <= 599 {
		return refused
	}
	// Whatever it says is the server's own business.
	return &UpgradeError{Status: http.StatusForbidden}
}

// upgrade answers a request that waits for a decision.
func (s *shard) upgrade(e *event) {
	config, conn := &s.server.config, e.conn
	request := requestOf(e.request)
	if s.inline {
		accept, err := config.decide(request)
		s.answer(conn, accept, err)
		return
	}
	go func() {
		accept, err := config.decide(request)
		s.do(func() { s.answer(conn, accept, err) })
	}()
}

// answer carries out a decision, on the driving goroutine.
func (s *shard) answer(conn ConnID, accept *Accept, err error) {
	status := 101
	var header http.Header
	var body []byte
	if err != nil {
		refused := refusalOf(err)
		status, header = refused.Status, refused.Header
		message := refused.Message
		if message == "" {
			message = http.StatusText(status)
		}
		body = []byte(message + "\n")
	} else if accept != nil {
		header = accept.Header
	}
	response := C.wsp_response_new(C.uint16_t(status))
	if response == nil {
		return
	}
	defer C.wsp_response_free(response)
	for name, values := range header {
		for _, value := range values {
			n, err1 := text(name)
			v, err2 := text(value)
			if err1 == nil && err2 == nil {
				C.wsp_response_add_header(response, n, v)
			}
		}
	}
	if body != nil {
		data, size := bytesOf(body)
		C.wsp_response_set_body(response, data, size)
	}
	if accept != nil && accept.Subprotocol != "" {
		if name, err := text(accept.Subprotocol); err == nil {
			C.wsp_response_set_subprotocol(response, name)
		}
	}
	answered := C.wsp_server_respond(s.native, C.wsp_conn_id(conn), response)
	if answered == C.WSP_STATUS_OK && err == nil && accept != nil {
		s.opening[conn] = opening{accept, s.turn}
	}
}

// requestOf copies what a client asks for: the library's request goes with the turn.
func requestOf(native *C.wsp_request) *http.Request {
	path := C.GoString(C.wsp_request_path(native))
	target := path
	if query := C.wsp_request_query(native); query != nil {
		target += "?" + C.GoString(query)
	}
	r := &http.Request{
		Method:     C.GoString(C.wsp_request_method(native)),
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     make(http.Header),
		Body:       http.NoBody,
		RequestURI: target,
	}
	if parsed, err := url.ParseRequestURI(target); err == nil {
		r.URL = parsed
	} else {
		r.URL = &url.URL{Path: path}
	}
	count := int(C.wsp_request_header_count(native))
	for i := range count {
		name := C.GoString(C.wsp_request_header_name(native, C.size_t(i)))
		value := C.GoString(C.wsp_request_header_value(native, C.size_t(i)))
		r.Header.Add(name, value)
	}
	// As net/http has it.
	r.Host = r.Header.Get("Host")
	r.Header.Del("Host")
	ip := C.GoString(C.wsp_request_peer_ip(native))
	if ip == "" {
		// As net/http has it for Unix sockets.
		r.RemoteAddr = "@"
	} else {
		r.RemoteAddr = net.JoinHostPort(ip, fmt.Sprint(uint16(C.wsp_request_peer_port(native))))
	}
	return r
}

// keepAdopted keeps what a connection brings that net/http has upgraded, until it opens, under a name.
func (s *Server) keepAdopted(accept *Accept) uintptr {
	s.adoptedMu.Lock()
	defer s.adoptedMu.Unlock()
	s.lastAdopted++
	s.adopted[s.lastAdopted] = accept
	return s.lastAdopted
}

func (s *Server) takeAdopted(token uintptr) *Accept {
	s.adoptedMu.Lock()
	defer s.adoptedMu.Unlock()
	accept := s.adopted[token]
	delete(s.adopted, token)
	return accept
}

// adopt hands a socket whose handshake is done to the library, which owns it from then on, or has closed it.
func (s *Server) adopt(fd uintptr, accept *Accept, early []byte) error {
	var subprotocol *C.char
	if accept.Subprotocol != "" {
		name, err := text(accept.Subprotocol)
		if err != nil {
			closeDescriptor(fd)
			return err
		}
		subprotocol = name
	}
	var token uintptr
	if accept.Value != nil || len(accept.Rooms) > 0 {
		token = s.keepAdopted(accept)
	}
	data, size := bytesOf(early)
	err := explain(func() C.wsp_status {
		return C.wspoll_go_adopt(s.native, C.wsp_fd(fd), subprotocol, C.uintptr_t(token), data, size)
	})
	if err != nil && token != 0 {
		s.takeAdopted(token)
	}
	return err
}
