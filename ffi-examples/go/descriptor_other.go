//go:build !unix && !windows

package wspoll

func duplicate(uintptr) (uintptr, error) { return 0, ErrUnsupported }

func closeDescriptor(uintptr) {}
