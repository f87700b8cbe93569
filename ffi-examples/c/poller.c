/* A TCP echo on the portable poller alone: no WebSocket, no server, only sockets of this program.
 *
 *     ./poller [PORT]
 *
 * Ends when the first client that says "quit" has gone. */

#include "portable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wspoll.h>

static int fail(const char *doing) {
    fprintf(stderr, "%s: %s\n", doing, wsp_last_error_message());
    return 1;
}

/* Echoes what has come. Returns 0 when the client has gone. */
static int echo(socket_number client, int *quit) {
    char buffer[16384];
    int came = (int)recv(client, buffer, sizeof buffer, 0);
    int sent = 0;
    if (came <= 0)
        return 0;
    if (came >= 4 && memcmp(buffer, "quit", 4) == 0)
        *quit = 1;
    while (sent < came) {
        int n = (int)send(client, buffer + sent, (size_t)(came - sent), MSG_NOSIGNAL);
        if (n < 0)
            return 0; /* A real program would wait for WSP_INTEREST_WRITE. */
        sent += n;
    }
    return 1;
}

int main(int argc, char **argv) {
    struct sockaddr_in address = {0};
    socklen_t size = sizeof address;
    wsp_ready ready[64];
    wsp_poller *poller;
    int quit = 0;
    socket_number listener;

    if (!sockets_start())
        return 1;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 8000));
    if (listener == NO_SOCKET || bind(listener, (struct sockaddr *)&address, size) != 0 ||
        listen(listener, 128) != 0 || !socket_set_nonblocking(listener) ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        fprintf(stderr, "listening: the system refuses\n");
        return 1;
    }
    if (wsp_poller_new(&poller) != WSP_STATUS_OK)
        return fail("poller");
    /* The key is this program's word for the socket; the socket's number is a good one. */
    if (wsp_poller_add(poller, (wsp_fd)listener, (uint64_t)listener, WSP_INTEREST_READ,
                       WSP_POLL_MODE_LEVEL) != WSP_STATUS_OK)
        return fail("add");
    printf("listening on 127.0.0.1:%u\n", (unsigned)ntohs(address.sin_port));
    fflush(stdout);

    while (!quit) {
        size_t count, i;
        if (wsp_poller_wait(poller, ready, 64, -1, &count) != WSP_STATUS_OK)
            return fail("wait");
        for (i = 0; i < count; i++) {
            socket_number number = (socket_number)ready[i].key;
            if (number == listener) {
                socket_number client = accept(listener, NULL, NULL);
                if (client != NO_SOCKET && socket_set_nonblocking(client))
                    wsp_poller_add(poller, (wsp_fd)client, (uint64_t)client, WSP_INTEREST_READ,
                                   WSP_POLL_MODE_LEVEL);
            } else if (!echo(number, &quit) || quit) {
                /* Out of the poller before it is closed. */
                wsp_poller_remove(poller, (wsp_fd)number);
                socket_close(number);
            }
        }
    }
    wsp_poller_remove(poller, (wsp_fd)listener);
    socket_close(listener);
    wsp_poller_free(poller);
    return 0;
}
