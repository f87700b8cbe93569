//go:build unix

package wspoll

import "syscall"

func duplicate(fd uintptr) (uintptr, error) {
	// Between the two calls another thread may fork: Go's own forks wait for this lock.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	own, err := syscall.Dup(int(fd))
	if err != nil {
		return 0, err
	}
	syscall.CloseOnExec(own)
	return uintptr(own), nil
}

func closeDescriptor(fd uintptr) { _ = syscall.Close(int(fd)) }
