package gid

import "testing"

func grow(depth int) byte {
	var frame [1024]byte
	if depth > 0 {
		frame[0] = grow(depth - 1)
	}
	return frame[depth%len(frame)] + 1
}

func TestSelfIsStableAndDiffersBetweenGoroutines(t *testing.T) {
	me := Self()
	if me == 0 {
		t.Skip("goroutines are not told apart here")
	}
	others := make(chan uintptr)
	hold := make(chan struct{})
	seen := map[uintptr]bool{me: true}
	for range 100 {
		go func() { others <- Self(); <-hold }()
	}
	for range 100 {
		other := <-others
		if seen[other] {
			t.Fatal("two goroutines have one name")
		}
		seen[other] = true
	}
	close(hold)
	grow(1000) // moves the stack
	if Self() != me {
		t.Fatal("a goroutine changed its name")
	}
}
