/*
 * Handshakes, and the questions at a stream that has come of one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "api/tls/tls.h"

/* ---- Handshakes ---- */

/* The certificate must be for this name or address, and the server is told the name. */
static int set_host(SSL *ssl, const char *host, bool check)
{
    char name[256];
    unsigned char address[sizeof(struct in6_addr)];
    size_t n = strlen(host);
    if (n > 1 && host[n - 1] == '.') /* "example.org.": the root is not part of the name */
        n--;
    if (n == 0 || n >= sizeof(name) || host[0] == '.') /* ".org" is any host of it to OpenSSL */
        return -EINVAL;
    memcpy(name, host, n);
    name[n] = 0;
    name[strcspn(name, "%")] = 0; /* "fe80::1%eth0" */
    bool is_address =
        inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
    if (!is_address && (strlen(name) != n || !SSL_set_tlsext_host_name(ssl, name)))
        return -EINVAL;
    if (!check)
        return 0;
    SSL_set_hostflags(ssl,
                      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    int ok = is_address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name)
                        : SSL_set1_host(ssl, name);
    return ok ? 0 : -ENOMEM;
}

static int set_role(SSL *ssl, const pirn_tls_context *context, const char *host)
{
    bool check = (context->flags & (PIRN_TLS_NO_VERIFY | PIRN_TLS_ANY_HOST)) == 0;
    if (context->role == PIRN_TLS_SERVER) {
        SSL_set_accept_state(ssl);
        return 0;
    }
    SSL_set_connect_state(ssl);
    if (host == NULL)
        return check ? -EINVAL : 0;
    return set_host(ssl, host, check);
}

static int keep_alpn(struct tls *t)
{
    const unsigned char *name;
    unsigned n;
    SSL_get0_alpn_selected(t->ssl, &name, &n);
    if (n == 0)
        return 0;
    t->alpn = strndup((const char *)name, n);
    return t->alpn != NULL ? 0 : -ENOMEM;
}

static int shake(pirn_stream **ret_stream, struct tls *t, const pirn_tls_context *context,
                 const char *host, const pirn_tls_config *c, pirn_time deadline)
{
    ERR_clear_error();
    int rc = set_role(t->ssl, context, host);
    ERR_clear_error();
    if (rc == 0)
        rc = pirn_tls_shake(t, deadline);
    if (rc == 0)
        rc = keep_alpn(t);
    if (rc == 0)
        rc = pirn_stream_over(ret_stream, &pirn_tls_ops, t, c->stream);
    if (rc != 0)
        pirn_tls_say(c->ret_error, c->error_size, t->why != NULL ? t->why : strerrordesc_np(-rc));
    return rc;
}

static int begin(pirn_stream **ret_stream, pirn_stream *below, pirn_tls_context *context,
                 pirn_tls_role role, const char *host, const pirn_tls_config *config,
                 pirn_time deadline)
{
    static const pirn_tls_config plain = PIRN_TLS_CONFIG_INIT;
    const pirn_tls_config *c = config != NULL ? config : &plain;
    if (c->size != sizeof(*c))
        return -EINVAL;
    pirn_tls_say(c->ret_error, c->error_size, "a call that makes no sense");
    if (ret_stream == NULL || below == NULL || context == NULL || context->role != role)
        return -EINVAL;
    if (pirn_current() == NULL)
        return -EPERM;
    pirn_tls_say(c->ret_error, c->error_size, "");
    ERR_clear_error();
    struct tls *t = pirn_tls_new(context, below);
    ERR_clear_error();
    if (t == NULL) {
        pirn_tls_say(c->ret_error, c->error_size, strerrordesc_np(ENOMEM));
        return -ENOMEM;
    }
    int rc = shake(ret_stream, t, context, host, c, deadline);
    if (rc != 0)
        pirn_tls_free(t);
    return rc;
}

int pirn_tls_client(pirn_stream **ret_stream, pirn_stream *below, pirn_tls_context *context,
                    const char *host, const pirn_tls_config *config, pirn_time deadline)
{
    return begin(ret_stream, below, context, PIRN_TLS_CLIENT, host, config, deadline);
}

int pirn_tls_server(pirn_stream **ret_stream, pirn_stream *below, pirn_tls_context *context,
                    const pirn_tls_config *config, pirn_time deadline)
{
    return begin(ret_stream, below, context, PIRN_TLS_SERVER, NULL, config, deadline);
}

int pirn_tls_open(void *context, pirn_stream **ret_stream, pirn_stream *below, pirn_time deadline)
{
    return pirn_tls_server(ret_stream, below, context, NULL, deadline);
}

/* ---- Questions ---- */

const char *pirn_tls_alpn(const pirn_stream *stream)
{
    const struct tls *t = pirn_stream_self(stream, &pirn_tls_ops);
    return t == NULL ? NULL : t->alpn != NULL ? t->alpn : "";
}

/* The strings are OpenSSL's own, and constant; but where they are found changes, with a ticket for
 * one. */
static const char *ask(const pirn_stream *stream, const char *(*question)(const SSL *ssl))
{
    struct tls *t = pirn_stream_self(stream, &pirn_tls_ops);
    if (t == NULL)
        return NULL;
    pthread_mutex_lock(&t->lock);
    const char *answer = question(t->ssl);
    pthread_mutex_unlock(&t->lock);
    return answer != NULL ? answer : "";
}

static const char *cipher_of(const SSL *ssl)
{
    return SSL_get_cipher_name(ssl);
}

static const char *host_of(const SSL *ssl)
{
    return SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
}

const char *pirn_tls_version_name(const pirn_stream *stream)
{
    return ask(stream, SSL_get_version);
}

const char *pirn_tls_cipher(const pirn_stream *stream)
{
    return ask(stream, cipher_of);
}

const char *pirn_tls_host(const pirn_stream *stream)
{
    return ask(stream, host_of);
}

static int copy_out(const char *text, size_t n, char *ret_text, size_t size)
{
    if (n >= size)
        return -ENOSPC;
    memcpy(ret_text, text, n);
    ret_text[n] = 0;
    return (int)n;
}

static int describe(const X509 *certificate, char *ret_text, size_t size)
{
    char *text;
    BIO *bio = BIO_new(BIO_s_mem());
    int rc = -ENOMEM;
    if (bio != NULL &&
        X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0) {
        long n = BIO_get_mem_data(bio, &text);
        rc = copy_out(text, n > 0 ? (size_t)n : 0, ret_text, size);
    }
    BIO_free(bio);
    ERR_clear_error();
    return rc;
}

int pirn_tls_peer(const pirn_stream *stream, char *ret_text, size_t size)
{
    struct tls *t = pirn_stream_self(stream, &pirn_tls_ops);
    if (t == NULL || (ret_text == NULL && size != 0))
        return -EINVAL;
    pthread_mutex_lock(&t->lock);
    X509 *certificate = SSL_get1_peer_certificate(t->ssl);
    pthread_mutex_unlock(&t->lock);
    int rc = certificate != NULL ? describe(certificate, ret_text, size) : -ENOENT;
    X509_free(certificate);
    return rc;
}

int pirn_tls_error(const pirn_stream *stream, char *ret_text, size_t size)
{
    struct tls *t = pirn_stream_self(stream, &pirn_tls_ops);
    if (t == NULL || (ret_text == NULL && size != 0))
        return -EINVAL;
    pthread_mutex_lock(&t->lock);
    const char *why = t->why != NULL ? t->why : "";
    int rc = copy_out(why, strlen(why), ret_text, size);
    pthread_mutex_unlock(&t->lock);
    return rc;
}
