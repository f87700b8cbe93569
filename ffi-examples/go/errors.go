package wspoll

// #include <wspoll.h>
import "C"

import (
	"errors"
	"fmt"
	"strings"
)

// Errors of calls, for [errors.Is].
var (
	// ErrGone says that the connection has ended.
	ErrGone = errors.New("wspoll: the connection is gone")
	// ErrBackpressure says that a bounded queue is full. Nothing was queued.
	ErrBackpressure = errors.New("wspoll: the queue is full")
	// ErrServerClosed says that the server is draining or has stopped.
	ErrServerClosed = errors.New("wspoll: the server is closed")
	// ErrUnsupported says that the platform, or this version, cannot do it.
	ErrUnsupported = errors.New("wspoll: unsupported")
	// ErrInvalidArgument says that a call was given what it cannot take; the message says what.
	ErrInvalidArgument = errors.New("wspoll: invalid argument")
)

// A SettingError says which setting of a [Config] has a value that it cannot have.
type SettingError struct {
	Name   string // as in [Config.Settings]: "max_message_size"
	Value  string // as it was given
	Reason string
}

func (e *SettingError) Error() string {
	return fmt.Sprintf("wspoll: setting %s is %q: %s", e.Name, e.Value, e.Reason)
}

// failure makes an error of a status. Where the library's message is needed, the caller must still be on the thread that
// made the failing call; a message that belongs to another call is worse than none.
func failure(status C.wsp_status) error {
	switch status {
	case C.WSP_STATUS_OK:
		return nil
	case C.WSP_STATUS_GONE:
		return ErrGone
	case C.WSP_STATUS_BACKPRESSURE:
		return ErrBackpressure
	case C.WSP_STATUS_SHUT_DOWN:
		return ErrServerClosed
	case C.WSP_STATUS_UNSUPPORTED:
		return ErrUnsupported
	case C.WSP_STATUS_INVALID_ARGUMENT:
		return ErrInvalidArgument
	default:
		return fmt.Errorf("wspoll: %s", C.GoString(C.wsp_status_name(status)))
	}
}

// explained is failure with the library's own words. On the thread of the failing call only.
func explained(status C.wsp_status) error {
	if status == C.WSP_STATUS_OK {
		return nil
	}
	message := C.GoString(C.wsp_last_error_message())
	switch status {
	case C.WSP_STATUS_INVALID_SETTING:
		return settingError(message)
	case C.WSP_STATUS_INVALID_ARGUMENT:
		return fmt.Errorf("%w: %s", ErrInvalidArgument, message)
	case C.WSP_STATUS_IO, C.WSP_STATUS_PANIC, C.WSP_STATUS_WRONG_THREAD, C.WSP_STATUS_TIMED_OUT:
		return fmt.Errorf("wspoll: %s", message)
	default:
		return failure(status)
	}
}

// settingError takes `shards is "-1": must be 0 to 1024` apart.
func settingError(message string) *SettingError {
	name, rest, found := strings.Cut(message, ` is "`)
	value, reason, also := strings.Cut(rest, `": `)
	if !found || !also {
		return &SettingError{Reason: message}
	}
	return &SettingError{Name: name, Value: value, Reason: reason}
}
