/* Echoes every message. Managed mode: the library's threads call back.
 *
 *     ./echo [IP:PORT]
 *
 * Ends when its standard input does (Ctrl-D). */

#include <stdio.h>

#include <wspoll.h>

static void on_message(wsp_server *server, const wsp_event *event, void *user) {
    wsp_status status;
    (void)user;
    if (event->flags & WSP_EVENT_FLAG_TEXT)
        status = wsp_server_send_text(server, event->conn, event->data, event->len);
    else
        status = wsp_server_send_binary(server, event->conn, event->data, event->len);
    if (status != WSP_STATUS_OK)
        fprintf(stderr, "echo: %s\n", wsp_last_error_message());
}

static void on_log(wsp_log_level level, const char *target, const char *message, void *user) {
    (void)level;
    (void)user;
    fprintf(stderr, "%s: %s\n", target, message);
}

static int fail(const char *doing) {
    fprintf(stderr, "%s: %s\n", doing, wsp_last_error_message());
    return 1;
}

int main(int argc, char **argv) {
    wsp_callbacks callbacks = {0};
    wsp_config *config;
    wsp_server *server;
    wsp_status status;
    char address[64];

    if (WSP_CHECK_ABI() != WSP_STATUS_OK)
        return fail("library");
    wsp_log_set(on_log, NULL, WSP_LOG_LEVEL_WARN);

    config = wsp_config_new();
    if (wsp_config_add_listen(config, argc > 1 ? argv[1] : "127.0.0.1:8000") != WSP_STATUS_OK ||
        wsp_config_set(config, "max_message_size", "16MiB") != WSP_STATUS_OK) {
        wsp_config_free(config);
        return fail("configuration");
    }

    callbacks.size = sizeof callbacks;
    callbacks.on_message = on_message;
    status = wsp_server_start(config, &callbacks, &server);
    wsp_config_free(config);
    if (status != WSP_STATUS_OK)
        return fail("start");

    if (wsp_server_local_addr(server, 0, address, sizeof address) == WSP_STATUS_OK)
        printf("listening on %s\n", address);
    fflush(stdout);

    while (getchar() != EOF)
        continue;
    wsp_server_stop(server, WSP_DRAIN_TIMEOUT_DEFAULT);
    wsp_server_free(server);
    return 0;
}
