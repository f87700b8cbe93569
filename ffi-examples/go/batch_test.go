//go:build linux

package wspoll

import (
	"fmt"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// BenchmarkEvent is the cost of one event through Go and of its answer, in CPU time of the whole process without the
// client's, at different numbers of events per crossing: `go test -run - -bench Event`.
//
// The client's share is measured, not guessed: it is a thread of its own, whose time the system tells.
func BenchmarkEvent(b *testing.B) {
	for _, batch := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) { benchmarkEvent(b, batch) })
	}
}

func benchmarkEvent(b *testing.B, batch int) {
	server := start(b, Config{Inline: true, Shards: 1, Handler: HandlerFuncs{Message: echo}})
	conn := dial(b, server).NetConn()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		b.Fatal(err)
	}
	frame := "\x82\x84\x00\x00\x00\x00ping"
	var frames []byte
	for range batch {
		frames = append(frames, frame...)
	}
	answers := make([]byte, batch*6)
	// Plain blocking calls on a thread of this goroutine's own.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var failed error
	err = raw.Control(func(fd uintptr) {
		if failed = syscall.SetNonblock(int(fd), false); failed != nil {
			return
		}
		turns := (b.N + batch - 1) / batch
		b.ResetTimer()
		process, client := cpu(syscall.RUSAGE_SELF), cpu(rusageThread)
		for range turns {
			if _, failed = syscall.Write(int(fd), frames); failed != nil {
				return
			}
			for got := 0; got < len(answers); {
				n, err := syscall.Read(int(fd), answers[got:])
				if n <= 0 {
					failed = fmt.Errorf("read %d: %v", n, err)
					return
				}
				got += n
			}
		}
		process, client = cpu(syscall.RUSAGE_SELF)-process, cpu(rusageThread)-client
		b.ReportMetric(float64(process-client)/float64(turns*batch), "cpu-ns/event")
		failed = syscall.SetNonblock(int(fd), true)
	})
	if err != nil || failed != nil {
		b.Fatal(err, failed)
	}
}

const rusageThread = 1 // RUSAGE_THREAD, on Linux

func cpu(who int) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(who, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
