//go:build wspoll_dynamic

package wspoll

// #cgo pkg-config: wspoll
import "C"
