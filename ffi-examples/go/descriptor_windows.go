package wspoll

// #cgo LDFLAGS: -lws2_32
// #include <winsock2.h>
// #include <stdint.h>
//
// static int wspoll_go_duplicate(uintptr_t number, uintptr_t *own) {
//     WSAPROTOCOL_INFOW info;
//     SOCKET made;
//     if (WSADuplicateSocketW((SOCKET)number, GetCurrentProcessId(), &info) != 0)
//         return WSAGetLastError();
//     made = WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &info, 0,
//                       WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
//     if (made == INVALID_SOCKET)
//         return WSAGetLastError();
//     *own = (uintptr_t)made;
//     return 0;
// }
//
// static void wspoll_go_close(uintptr_t number) { closesocket((SOCKET)number); }
import "C"

import "syscall"

// duplicate makes a second SOCKET for a connection. That Go's completion port knows the connection does no harm: the library
// asks for readiness, and reads and writes without completions.
func duplicate(fd uintptr) (uintptr, error) {
	var own C.uintptr_t
	if code := C.wspoll_go_duplicate(C.uintptr_t(fd), &own); code != 0 {
		return 0, syscall.Errno(code)
	}
	return uintptr(own), nil
}

func closeDescriptor(fd uintptr) { C.wspoll_go_close(C.uintptr_t(fd)) }
