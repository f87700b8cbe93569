/* What C99 lacks and the examples need, on POSIX systems and on Windows: threads, a pause, sockets.
 *
 * Include it before everything else. */

#ifndef PORTABLE_H
#define PORTABLE_H

#ifdef _WIN32

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <winsock2.h>
#include <ws2tcpip.h>

#include <windows.h>

#include <process.h>

typedef HANDLE thread;
typedef SOCKET socket_number;
#define THREAD_RESULT unsigned __stdcall
#define NO_SOCKET INVALID_SOCKET
/* No write raises a signal there. */
#define MSG_NOSIGNAL 0

/* Returns 1 if `body` runs with `argument` on a thread of its own. */
static inline int thread_start(thread *made, unsigned(__stdcall *body)(void *), void *argument) {
    *made = (HANDLE)_beginthreadex(NULL, 0, body, argument, 0, NULL);
    return *made != NULL;
}

static inline void thread_join(thread made) {
    WaitForSingleObject(made, INFINITE);
    CloseHandle(made);
}

static inline void thread_detach(thread made) { CloseHandle(made); }

static inline void pause_ms(unsigned milliseconds) { Sleep(milliseconds); }

/* Once, before the first socket. The library does so itself for its own. */
static inline int sockets_start(void) {
    WSADATA data;
    return WSAStartup(MAKEWORD(2, 2), &data) == 0;
}

static inline int socket_set_nonblocking(socket_number number) {
    u_long on = 1;
    return ioctlsocket(number, (long)FIONBIO, &on) == 0;
}

static inline void socket_close(socket_number number) { closesocket(number); }

#else

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef pthread_t thread;
typedef int socket_number;
#define THREAD_RESULT void *
#define NO_SOCKET (-1)
/* Where it is missing, as on macOS, a write may raise SIGPIPE. */
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

/* Returns 1 if `body` runs with `argument` on a thread of its own. */
static inline int thread_start(thread *made, void *(*body)(void *), void *argument) {
    return pthread_create(made, NULL, body, argument) == 0;
}

static inline void thread_join(thread made) { pthread_join(made, NULL); }

static inline void thread_detach(thread made) { pthread_detach(made); }

static inline void pause_ms(unsigned milliseconds) {
    struct timespec pause;
    pause.tv_sec = (time_t)(milliseconds / 1000);
    pause.tv_nsec = (long)(milliseconds % 1000) * 1000000;
    nanosleep(&pause, NULL);
}

static inline int sockets_start(void) { return 1; }

static inline int socket_set_nonblocking(socket_number number) {
    return fcntl(number, F_SETFL, fcntl(number, F_GETFL) | O_NONBLOCK) == 0;
}

static inline void socket_close(socket_number number) { close(number); }

#endif

#endif
