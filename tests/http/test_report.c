/* What is reported of a server that does not come to its end; the report may ask the server. */
#include "tests/http/site.h"

struct scene {
    pirn_http_server *server;
    atomic_int begun, go, named, unnamed, connections;
};

static int take_no_notice(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    struct scene *scene = user;
    (void)request, (void)reply;
    atomic_fetch_add(&scene->begun, 1);
    while (atomic_load(&scene->go) == 0)
        pirn_sleep(pirn_after_ms(1));
    return 0;
}

static void look(void *user, const char *line)
{
    struct scene *scene = user;
    atomic_store(&scene->connections, pirn_http_server_connections(scene->server));
    atomic_fetch_add(strstr(line, "GET /") != NULL ? &scene->named : &scene->unnamed, 1);
}

static int stubborn(void *arg)
{
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    struct scene scene = {0};
    struct site_visit visits[2];
    pirn_task *tasks[2];
    struct site site;
    (void)arg;
    config.report = look;
    config.report_user = &scene;
    config.grace = pirn_span_ms(1);
    CHECK_OK(pirn_http_server_new(&site.server, &config));
    scene.server = site.server;
    site_route(&site, "GET", "/", take_no_notice, &scene);
    for (int i = 0; i < 2; i++) {
        visits[i] = site_visit_begin(&site, false);
        site_say(visits[i].peer, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        tasks[i] = support_spawn(site_visit_serve, &visits[i]);
    }
    support_until(&scene.begun, 2);
    CHECK_EQ(pirn_http_server_stop(site.server, PIRN_NOW), -EBUSY);
    CHECK_EQ(atomic_load(&scene.named) + atomic_load(&scene.unnamed), 2);
    CHECK_EQ(atomic_load(&scene.connections), 2);
    atomic_store(&scene.go, 1);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(support_join(tasks[i]));
        pirn_close(visits[i].peer);
        pirn_stream_release(visits[i].stream);
    }
    pirn_http_server_release(site.server);
    return 0;
}

START_TEST(s172_a_report_may_ask_the_server)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, stubborn, NULL));
}
END_TEST

SUPPORT_MAIN("http/report", s172_a_report_may_ask_the_server)
