//go:build !wspoll_dynamic

package wspoll

// #cgo CFLAGS: -I${SRCDIR}
// #cgo linux LDFLAGS: ${SRCDIR}/lib/libwspoll.a -lm -ldl -lpthread -lgcc_s
// #cgo darwin LDFLAGS: ${SRCDIR}/lib/libwspoll.a -lm
// #cgo freebsd LDFLAGS: ${SRCDIR}/lib/libwspoll.a -lm -lpthread -lgcc_s
// #cgo windows LDFLAGS: ${SRCDIR}/lib/libwspoll.a -lkernel32 -lntdll -luserenv -lws2_32 -ldbghelp
import "C"
