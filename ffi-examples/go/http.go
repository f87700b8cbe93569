package wspoll

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// ServeHTTP makes the Server an [http.Handler]: it upgrades requests of an HTTP server in this program, as those that come
// to the Server's own address, and answers refusals itself. [Config.CheckOrigin] and [Config.OnUpgrade] run on the request's
// goroutine.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	accept, err := (*Accept)(nil), checkUpgrade(r)
	if err == nil {
		accept, err = s.config.decide(r)
		if err != nil {
			err = refusalOf(err)
		}
	}
	if err == nil {
		err = s.hijack(w, r, accept)
	}
	if err == nil {
		return
	}
	refused := &UpgradeError{Status: http.StatusInternalServerError}
	switch {
	case errors.As(err, &refused):
	case errors.Is(err, ErrServerClosed), errors.Is(err, ErrBackpressure):
		refused.Status = http.StatusServiceUnavailable
	case errors.Is(err, ErrUnsupported):
		refused.Status = http.StatusNotImplemented
	case errors.Is(err, errTaken):
		return // the connection is not HTTP any more
	}
	for name, values := range refused.Header {
		w.Header()[name] = values
	}
	message := refused.Message
	if message == "" {
		message = http.StatusText(refused.Status)
	}
	http.Error(w, message, refused.Status)
}

// Upgrade makes a WebSocket connection of a request to an HTTP server in this program, as ServeHTTP does, but leaves it to the
// caller to decide: OnUpgrade is not asked. CheckOrigin is. A nil Accept is the ordinary way.
//
// The connection is taken from net/http (on a descriptor of its own), with whatever the client has sent behind its request.
// That needs HTTP/1.1 without TLS in this process; put a proxy in front that ends TLS.
//
// Errors: an [*UpgradeError] if the request is not a proper upgrade; [ErrUnsupported]; [ErrServerClosed]; [ErrBackpressure]. Nothing
// has been answered then, unless the error says that the connection is lost.
func (s *Server) Upgrade(w http.ResponseWriter, r *http.Request, accept *Accept) error {
	if err := checkUpgrade(r); err != nil {
		return err
	}
	if s.config.CheckOrigin != nil && !s.config.CheckOrigin(r) {
		return &UpgradeError{Status: http.StatusForbidden, Message: "origin not allowed"}
	}
	return s.hijack(w, r, accept)
}

// checkUpgrade says what RFC 6455 §4.2.1 asks of a request.
func checkUpgrade(r *http.Request) error {
	bad := func(message string) error {
		return &UpgradeError{Status: http.StatusBadRequest, Message: message}
	}
	upgradeRequired := func(message string) error {
		header := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}}
		return &UpgradeError{Status: http.StatusUpgradeRequired, Message: message, Header: header}
	}
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	switch {
	case !hasToken(r.Header, "Connection", "upgrade") || !hasToken(r.Header, "Upgrade", "websocket"):
		return upgradeRequired("this is a WebSocket endpoint")
	case r.Method != http.MethodGet:
		return &UpgradeError{Status: http.StatusMethodNotAllowed, Header: http.Header{"Allow": {"GET"}}}
	case !r.ProtoAtLeast(1, 1):
		return bad("HTTP/1.1 is needed")
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		return upgradeRequired("version 13 is spoken here")
	case err != nil || len(key) != 16:
		return bad("Sec-WebSocket-Key must be 16 bytes in base64")
	}
	return nil
}

func hasToken(header http.Header, name, token string) bool {
	for _, value := range header.Values(name) {
		for word := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(word), token) {
				return true
			}
		}
	}
	return false
}

// isSameOrigin is the library's default policy: the page is of the host that is asked, or there is none.
func isSameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	page, err := url.Parse(origin)
	return err == nil && strings.EqualFold(page.Host, r.Host)
}

// subprotocol chooses as the library does.
func (s *Server) subprotocol(r *http.Request, accept *Accept) (string, error) {
	offers := make(map[string]bool)
	for _, value := range r.Header.Values("Sec-WebSocket-Protocol") {
		for offer := range strings.SplitSeq(value, ",") {
			offers[strings.TrimSpace(offer)] = true
		}
	}
	if accept.Subprotocol != "" {
		if !offers[accept.Subprotocol] {
			return "", fmt.Errorf("%w: the client has not offered the subprotocol %q", ErrInvalidArgument, accept.Subprotocol)
		}
		return accept.Subprotocol, nil
	}
	for _, ours := range s.config.Subprotocols {
		if offers[ours] {
			return ours, nil
		}
	}
	return "", nil
}

var errTaken = errors.New("wspoll: the connection is lost")

func (s *Server) hijack(w http.ResponseWriter, r *http.Request, accept *Accept) error {
	if accept == nil {
		accept = &Accept{}
	}
	if s.config.CheckOrigin == nil && s.config.Settings["origin"] == "" && !isSameOrigin(r) {
		return &UpgradeError{Status: http.StatusForbidden, Message: "origin not allowed"}
	}
	subprotocol, err := s.subprotocol(r, accept)
	if err != nil {
		return err
	}
	if r.TLS != nil {
		return fmt.Errorf("%w: TLS in this process", ErrUnsupported)
	}
	// Best known before the client has been promised anything.
	if s.stopping.Load() {
		return ErrServerClosed
	}
	response := response(r.Header.Get("Sec-WebSocket-Key"), subprotocol, accept.Header)
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	// The descriptor that the server gets is another: this one goes back to Go.
	defer conn.Close()
	early, err := buffered.Reader.Peek(buffered.Reader.Buffered())
	if err == nil {
		err = s.handOver(conn, response, early, &Accept{Subprotocol: subprotocol, Value: accept.Value, Rooms: accept.Rooms})
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errTaken, err)
	}
	return nil
}

func (s *Server) handOver(conn net.Conn, response, early []byte, accept *Accept) error {
	// The HTTP server's deadlines were for HTTP.
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write(response); err != nil {
		return err
	}
	return control(conn, func(fd uintptr) error {
		own, err := duplicate(fd)
		if err != nil {
			return err
		}
		return s.adopt(own, accept, early)
	})
}

// response is the 101.
func response(key, subprotocol string, header http.Header) []byte {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
	b.WriteString(base64.StdEncoding.EncodeToString(sum[:]))
	b.WriteString("\r\n")
	if subprotocol != "" {
		b.WriteString("Sec-WebSocket-Protocol: " + subprotocol + "\r\n")
	}
	// Write replaces what must not stand in a header.
	_ = header.WriteSubset(&b, map[string]bool{
		"Upgrade": true, "Connection": true, "Sec-Websocket-Accept": true, "Sec-Websocket-Protocol": true,
		"Sec-Websocket-Extensions": true,
	})
	b.WriteString("\r\n")
	return b.Bytes()
}
