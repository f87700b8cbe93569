/* Pushes to rooms from a thread of its own, and holds back when the server says so.
 *
 *     ./push [IP:PORT]
 *
 * A client names a room by its path, /news. Every line of standard input goes to everybody in a room: "news hello".
 * What a client sends goes to its own room. Ends when standard input does. */

#include "portable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wspoll.h>

/* What every connection has; its user pointer. */
struct client {
    char room[64];
};

static void on_upgrade(wsp_server *server, wsp_conn_id conn, const wsp_request *request,
                       wsp_response *response, void *user) {
    const char *room = wsp_request_path(request) + 1;
    struct client *client;
    (void)server;
    (void)conn;
    (void)user;
    if (*room == '\0' || strlen(room) >= sizeof client->room) {
        wsp_response_set_status(response, 404);
        return;
    }
    client = calloc(1, sizeof *client);
    if (client == NULL) {
        wsp_response_set_status(response, 503);
        return;
    }
    strcpy(client->room, room);
    /* Origin and handshake are fine, so the connection opens, and on_close frees this. */
    wsp_response_set_conn_user(response, client);
}

static void on_open(wsp_server *server, const wsp_event *event, void *user) {
    const struct client *client = event->conn_user;
    (void)user;
    wsp_server_join(server, event->conn, client->room);
}

static void on_message(wsp_server *server, const wsp_event *event, void *user) {
    const struct client *client = event->conn_user;
    wsp_message_kind kind =
        event->flags & WSP_EVENT_FLAG_TEXT ? WSP_MESSAGE_TEXT : WSP_MESSAGE_BINARY;
    (void)user;
    wsp_server_publish(server, client->room, kind, event->data, event->len);
}

static void on_dropped(wsp_server *server, const wsp_event *event, void *user) {
    (void)server;
    (void)user;
    fprintf(stderr, "dropped %llu for %llx\n", (unsigned long long)event->value,
            (unsigned long long)event->conn);
}

static void on_close(wsp_server *server, const wsp_event *event, void *user) {
    (void)server;
    (void)user;
    free(event->conn_user);
}

/* Publishes, and waits as long as a shard cannot keep up. Nothing is lost, and nothing piles up. */
static wsp_status publish(wsp_server *server, const char *room, const char *text) {
    for (;;) {
        wsp_status status = wsp_server_publish(server, room, WSP_MESSAGE_TEXT,
                                               (const uint8_t *)text, strlen(text));
        if (status != WSP_STATUS_BACKPRESSURE)
            return status;
        pause_ms(1);
    }
}

static THREAD_RESULT push(void *argument) {
    wsp_server *server = argument;
    char line[4096];
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *text = strchr(line, ' ');
        line[strcspn(line, "\n")] = '\0';
        if (text == NULL)
            continue;
        *text++ = '\0';
        if (publish(server, line, text) != WSP_STATUS_OK)
            fprintf(stderr, "push: %s\n", wsp_last_error_message());
    }
    /* This thread's own reference. */
    wsp_server_free(server);
    return 0;
}

int main(int argc, char **argv) {
    wsp_callbacks callbacks = {0};
    wsp_config *config = wsp_config_new();
    wsp_server *server;
    wsp_status status;
    thread pusher;

    wsp_config_add_listen(config, argc > 1 ? argv[1] : "127.0.0.1:8000");
    /* Who reads too slowly misses the oldest messages instead of being cut off. */
    wsp_config_set_slow_consumer(config, WSP_SLOW_CONSUMER_DROP_OLD);
    callbacks.size = sizeof callbacks;
    callbacks.on_upgrade = on_upgrade;
    callbacks.on_open = on_open;
    callbacks.on_message = on_message;
    callbacks.on_dropped = on_dropped;
    callbacks.on_close = on_close;
    status = wsp_server_start(config, &callbacks, &server);
    wsp_config_free(config);
    if (status != WSP_STATUS_OK) {
        fprintf(stderr, "start: %s\n", wsp_last_error_message());
        return 1;
    }
    printf("listening on 127.0.0.1:%u\n", (unsigned)wsp_server_port(server));
    fflush(stdout);

    if (!thread_start(&pusher, push, wsp_server_retain(server)))
        return 1;
    thread_join(pusher);
    wsp_server_stop(server, WSP_DRAIN_TIMEOUT_DEFAULT);
    wsp_server_free(server);
    return 0;
}
