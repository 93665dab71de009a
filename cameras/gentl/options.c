#include "options.h"

#include <glib.h>
#include <limits.h>
#include <stdlib.h>

#include "answer.h"

#define PREFIX "LYNCEUS_GENTL_"
#define LOST_AFTER_MS 2000

static Options current;

const Options *options(void)
{
    return &current;
}

/* `word`, where there is one, is taken as `meaning`, and is the default. */
static bool read_number(const char *name, const char *word, int meaning, int least, int most, int *value)
{
    const char *given = g_getenv(name);
    if (given == NULL || *given == '\0' || g_strcmp0(given, word) == 0) {
        *value = meaning;
        return true;
    }
    gint64 number;
    if (g_ascii_string_to_signed(given, 10, least, most, &number, NULL)) {
        *value = (int)number;
        return true;
    }
    fail(GC_ERR_INVALID_VALUE, "%s=%s: allowed are %d to %d%s%s", name, given, least, most, word ? " and " : "",
         word ? word : "");
    return false;
}

static bool read_switch(const char *name, bool otherwise, bool *value)
{
    int number;
    if (!read_number(name, NULL, otherwise, 0, 1, &number))
        return false;
    *value = number != 0;
    return true;
}

static bool read_packet_size(int *value)
{
    if (g_strcmp0(g_getenv(PREFIX "PACKET_SIZE"), "keep") == 0) {
        *value = OPTION_KEEP;
        return true;
    }
    return read_number(PREFIX "PACKET_SIZE", "auto", OPTION_AUTO, 576, 65535, value);
}

GC_ERROR options_read(void)
{
    Options read;
    if (!read_packet_size(&read.packet_size) ||
        !read_number(PREFIX "SOCKET_BUFFER", "auto", OPTION_AUTO, 4096, INT_MAX, &read.socket_buffer) ||
        !read_switch(PREFIX "PACKET_RESEND", true, &read.packet_resend) ||
        !read_number(PREFIX "LOST_AFTER_MS", "auto", LOST_AFTER_MS, 500, 60000, &read.lost_after_ms) ||
        !read_switch(PREFIX "PACKET_SOCKET", false, &read.packet_socket) ||
        !read_number(PREFIX "PACKET_TIMEOUT_US", "keep", OPTION_KEEP, 1, INT_MAX, &read.packet_timeout_us) ||
        !read_number(PREFIX "FRAME_RETENTION_US", "keep", OPTION_KEEP, 1, INT_MAX, &read.frame_retention_us))
        return failed();
    current = read;
    return GC_ERR_SUCCESS;
}
