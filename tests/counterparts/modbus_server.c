/* A Modbus server on libmodbus: a device that nobody here wrote, for our client to speak to.
 *
 * modbus_server tcp PORT        serves several clients on loopback
 * modbus_server rtu PATH BAUD   serves a serial line, 8 data bits, no parity
 *
 * 200 holding and 200 input registers; register n holds 3 n at first. Says "ready" when it listens.
 */
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

static int fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, modbus_strerror(errno));
    return 1;
}

static modbus_mapping_t *registers(void) {
    modbus_mapping_t *map = modbus_mapping_new(0, 0, 200, 200);
    for (int n = 0; map != NULL && n < 200; n++) {
        map->tab_registers[n] = map->tab_input_registers[n] = (uint16_t)(3 * n);
    }
    return map;
}

static int serve_line(const char *path, int baud) {
    uint8_t query[MODBUS_RTU_MAX_ADU_LENGTH];
    modbus_t *link = modbus_new_rtu(path, baud, 'N', 8, 1);
    modbus_mapping_t *map = registers();
    if (link == NULL || map == NULL || modbus_set_slave(link, 1) == -1 || modbus_connect(link) == -1) {
        return fail("line");
    }
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        int length = modbus_receive(link, query);
        if (length > 0) {
            modbus_reply(link, query, length, map);
        } else if (length == -1 && errno == EIO) {
            return 0; /* the line is gone */
        }
    }
}

static int serve_network(int port) {
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    modbus_t *link = modbus_new_tcp("127.0.0.1", port);
    modbus_mapping_t *map = registers();
    int listener = link == NULL ? -1 : modbus_tcp_listen(link, 16);
    if (map == NULL || listener == -1) {
        return fail("network");
    }
    fd_set open_sockets;
    FD_ZERO(&open_sockets);
    FD_SET(listener, &open_sockets);
    int highest = listener;
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        fd_set waiting = open_sockets;
        if (select(highest + 1, &waiting, NULL, NULL, NULL) == -1) {
            return fail("select");
        }
        for (int socket = 0; socket <= highest; socket++) {
            if (!FD_ISSET(socket, &waiting)) {
                continue;
            }
            if (socket == listener) {
                int fresh = modbus_tcp_accept(link, &listener);
                if (fresh != -1) {
                    FD_SET(fresh, &open_sockets);
                    highest = fresh > highest ? fresh : highest;
                }
                continue;
            }
            modbus_set_socket(link, socket);
            int length = modbus_receive(link, query);
            if (length > 0) {
                modbus_reply(link, query, length, map);
            } else if (length == -1) {
                close(socket);
                FD_CLR(socket, &open_sockets);
            }
        }
    }
}

int main(int count, char **words) {
    if (count == 3 && strcmp(words[1], "tcp") == 0) {
        return serve_network(atoi(words[2]));
    }
    if (count == 4 && strcmp(words[1], "rtu") == 0) {
        return serve_line(words[2], atoi(words[3]));
    }
    fprintf(stderr, "modbus_server tcp PORT | rtu PATH BAUD\n");
    return 2;
}
