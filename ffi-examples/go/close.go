package wspoll

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Kinds of messages, numbered as in RFC 6455 §11.8 and gorilla/websocket.
const (
	TextMessage   = 1
	BinaryMessage = 2
	CloseMessage  = 8
	PingMessage   = 9
	PongMessage   = 10
)

// Close codes (RFC 6455 §11.7).
const (
	CloseNormalClosure           = 1000
	CloseGoingAway               = 1001
	CloseProtocolError           = 1002
	CloseUnsupportedData         = 1003
	CloseNoStatusReceived        = 1005
	CloseAbnormalClosure         = 1006
	CloseInvalidFramePayloadData = 1007
	ClosePolicyViolation         = 1008
	CloseMessageTooBig           = 1009
	CloseMandatoryExtension      = 1010
	CloseInternalServerErr       = 1011
	CloseServiceRestart          = 1012
	CloseTryAgainLater           = 1013
	CloseTLSHandshake            = 1015
)

// A CloseCause says who or what ended a connection.
type CloseCause int

// Causes.
const (
	CauseOther        CloseCause = iota
	CausePeer                    // the peer closed
	CauseHost                    // [Conn.Close]
	CauseViolation               // the peer broke the protocol
	CauseSlowConsumer            // the peer took too little of what was pushed to it
	CausePanic                   // a bug in the library
	CauseShutdown                // [Server.Shutdown]
	CausePongTimeout             // nothing came from the peer for [Config.PongTimeout]
	CauseIdleTimeout             // no message went either way for [Config.IdleTimeout]
	CauseWriteTimeout            // the peer took nothing for [Config.WriteTimeout]
	CauseCloseTimeout            // the peer did not answer our close frame
	CauseEndOfStream             // the stream ended without a close frame
	CauseLost                    // the stream failed
)

// A CloseError tells how a connection ended. [Handler.OnClose] always gets one; a normal close has code 1000 or 1001.
type CloseError struct {
	Code  int    // of the peer's close frame; 1005 if it had none, 1006 if no frame came
	Text  string // the peer's reason, or ours if it gave none
	Sent  int    // the code of our close frame, 0 if none was sent
	Cause CloseCause
}

func (e *CloseError) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("websocket: close %d", e.Code)
	}
	return fmt.Sprintf("websocket: close %d: %s", e.Code, e.Text)
}

// Unwrap returns [io.ErrUnexpectedEOF] where the stream ended without a close frame.
func (e *CloseError) Unwrap() error {
	if e.Code == CloseAbnormalClosure {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// IsCloseError says whether err is a [*CloseError] with one of the codes.
func IsCloseError(err error, codes ...int) bool {
	var closed *CloseError
	return errors.As(err, &closed) && contains(codes, closed.Code)
}

// IsUnexpectedCloseError says whether err is a [*CloseError] with none of the codes.
func IsUnexpectedCloseError(err error, expected ...int) bool {
	var closed *CloseError
	return errors.As(err, &closed) && !contains(expected, closed.Code)
}

func contains(codes []int, code int) bool {
	for _, c := range codes {
		if c == code {
			return true
		}
	}
	return false
}

// FormatCloseMessage makes the payload of a close frame, for [Conn.Write] with [CloseMessage]. Code 1005 makes an empty
// one.
func FormatCloseMessage(code int, text string) []byte {
	if code == CloseNoStatusReceived {
		return []byte{}
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), text...)
}

func parseCloseMessage(payload []byte) (int, string, error) {
	switch {
	case len(payload) == 0:
		return CloseNormalClosure, "", nil
	case len(payload) == 1:
		return 0, "", fmt.Errorf("%w: a close payload is empty or has two bytes of code", ErrInvalidArgument)
	default:
		return int(binary.BigEndian.Uint16(payload)), string(payload[2:]), nil
	}
}
