/* The example lookup, against dig: both ask the same server, and say the same. */
#include "tests/net/dns.h"

static dns server;

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What a command prints, its lines sorted; its exit status. */
static int lines_of(const char *command, char *ret_text, size_t size)
{
    char *lines[100], buf[128];
    int n = 0;
    FILE *pipe = popen(command, "r");
    CHECK(pipe);
    while (n < 100 && fgets(buf, sizeof(buf), pipe) != NULL)
        lines[n++] = strdup(buf);
    int status = pclose(pipe);
    qsort(lines, (size_t)n, sizeof(lines[0]), compare);
    ret_text[0] = '\0';
    for (int i = 0; i < n; i++) {
        CHECK(strlen(ret_text) + strlen(lines[i]) < size);
        strcat(ret_text, lines[i]);
        free(lines[i]);
    }
    return status;
}

START_TEST(a154_as_dig_says)
{
    static const char *const names[] = {"both",     "many",  "six",    "big",
                                        "addr-300", "empty", "unknown"};
    char command[512], ours[8192], theirs[8192];
    bool have_dig = system("command -v dig >/dev/null") == 0;
    if (!have_dig)
        fprintf(stderr, "there is no dig: only what lookup prints is looked at\n");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        for (int family = 4; family <= 6; family += 2) {
            snprintf(command, sizeof(command), "%s/lookup -%d -s %s %s.test. 2>/dev/null",
                     PIRN_BIN_DIR, family, server.servers, names[i]);
            int status = lines_of(command, ours, sizeof(ours));
            CHECK_EQ(status == 0, ours[0] != '\0'); /* no address: a failure */
            snprintf(command, sizeof(command), "dig +short -p %s @127.0.0.1 %s.test. %s",
                     strchr(server.servers, ':') + 1, names[i], family == 4 ? "A" : "AAAA");
            if (have_dig && lines_of(command, theirs, sizeof(theirs)) == 0 &&
                strcmp(ours, theirs) != 0)
                support_fail(__FILE__, __LINE__, names[i], "lookup:\n%sdig:\n%s", ours, theirs);
        }
    snprintf(command, sizeof(command), "%s/lookup -4 -s %s addr-1.test addr-2.test addr-1.test",
             PIRN_BIN_DIR, server.servers);
    CHECK_OK(lines_of(command, ours, sizeof(ours)));
    CHECK(strcmp(ours, "127.1.0.1\n127.1.0.1\n127.1.0.2\n") == 0);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {a154_as_dig_says};
    dns_begin(&server);
    bool can = dns_can_be_asked(&server);
    int rc = can ? support_main("lookup", tests, 1) : 77;
    dns_end(&server);
    return rc;
}
