/*
 * HTTP/1.1: a server and a client, as small layers on pirn's streams.
 *
 * A library of its own: link libpirn-http (pkg-config pirn-http, CMake pirn::http). <pirn.h> does
 * not include it; the conventions at the head of that hold here. The calls with JSON in their names
 * take and give jansson's json_t: who uses them includes <jansson.h>, and links jansson, too.
 * Strings of a request or a response belong to it and last as long. Borrowed from Go's net/http,
 * aiohttp and FastAPI.
 *
 *     static int hello(pirn_http_request *request, pirn_http_reply *reply, void *user)
 *     {
 *         return pirn_http_reply_text(reply, 200, pirn_http_param(request, "name"));
 *     }
 *
 *     pirn_http_server *server = NULL;
 *     int rc = pirn_http_server_new(&server, NULL);
 *     if (rc == 0)
 *         rc = pirn_http_server_route(server, "GET", "/hello/{name}", hello, NULL, NULL);
 *     if (rc == 0)
 *         rc = pirn_http_server_listen(server, "127.0.0.1", "8000", NULL, PIRN_NEVER);
 *     if (rc == 0)
 *         rc = pirn_http_server_serve(server); // until it is closed, or this task is cancelled
 *     pirn_http_server_stop(server, pirn_after_s(10)); // running requests may finish
 *     pirn_http_server_release(server);
 *
 * A connection can be switched to another protocol (WebSocket, say), by either side's own code. Not
 * here: HTTP/2, trailers (read and dropped), redirects, cookies, proxies, compression; paths are
 * not normalised ("..": who serves files must look).
 */
#ifndef PIRN_HTTP_H
#define PIRN_HTTP_H

#include <pirn/http_client.h>
#include <pirn/http_server.h>

#endif
