//go:build ((amd64 || arm64) && (linux || darwin)) || (amd64 && windows)

// Package gid tells goroutines apart.
//
// A call on the goroutine that drives a shard may touch the shard's state without a lock and may hand over memory that
// lies in its read buffer; any other call must not. Nothing in the language answers "am I that goroutine?" in less time
// than echoing a message takes, so this asks the register (or thread-local word) that holds the runtime's g. The word is
// compared, never followed.
package gid

// Self returns a word that differs between any two goroutines that exist at the same time, or 0 where the platform has
// none: then nobody is known to be anybody, and callers take the way that is right for every goroutine.
func Self() uintptr
