/* A client that is always there: it connects, greets, prints what comes, and connects again after every loss.
 *
 *     ./client [URL]
 *
 * Every line of standard input is sent. Ends with it, when what was sent has left. */

#include "portable.h"

#include <stdio.h>
#include <string.h>

#include <wspoll.h>

static int fail(const char *doing) {
    fprintf(stderr, "%s: %s\n", doing, wsp_last_error_message());
    return 1;
}

/* Sends what is typed. Any thread may send; only one at a time may receive. */
static THREAD_RESULT type(void *argument) {
    wsp_client *client = argument;
    char line[4096];
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        /* Waits while the server takes nothing, also between connections. */
        if (wsp_client_send(client, WSP_MESSAGE_TEXT, (const uint8_t *)line, strlen(line), -1) !=
            WSP_STATUS_OK)
            return 0;
    }
    wsp_client_close(client, 1000, NULL, 0);
    return 0;
}

static void print(const wsp_client_event *event) {
    switch (event->kind) {
    case WSP_CLIENT_EVENT_CONNECTED:
        printf("connected\n");
        break;
    case WSP_CLIENT_EVENT_MESSAGE:
        if (event->flags & WSP_EVENT_FLAG_TEXT)
            printf("%.*s\n", (int)event->len, (const char *)event->data);
        else
            printf("%u bytes\n", (unsigned)event->len);
        break;
    case WSP_CLIENT_EVENT_DISCONNECTED:
        printf("disconnected: %s\n", event->message);
        break;
    default: /* A newer library may know more kinds. */
        break;
    }
    fflush(stdout);
}

int main(int argc, char **argv) {
    const char *greeting = "hello";
    wsp_client_config *config = wsp_client_config_new();
    wsp_client *client;
    wsp_client_event event;
    wsp_status status;
    thread typing;

    /* The first delay is 50 to 150 ms; a server that stays away is asked every 10 s at last. */
    wsp_client_config_set_reconnect(config, 50, 10000);
    /* First on every connection: here one would log in, or join a room. */
    wsp_client_config_add_greeting(config, WSP_MESSAGE_TEXT, (const uint8_t *)greeting,
                                   strlen(greeting));
    status = wsp_client_start(argc > 1 ? argv[1] : "ws://127.0.0.1:8000/", config, &client);
    wsp_client_config_free(config);
    if (status != WSP_STATUS_OK)
        return fail("start");

    if (!thread_start(&typing, type, client))
        return 1;
    while ((status = wsp_client_recv(client, -1, &event)) == WSP_STATUS_OK)
        print(&event);
    if (status != WSP_STATUS_GONE)
        return fail("receive");
    thread_join(typing);
    wsp_client_free(client);
    return 0;
}
