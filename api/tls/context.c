/*
 * Contexts: OpenSSL's SSL_CTX with other defaults. Who is not told otherwise trusts the system's
 * certificates, checks the peer's, and speaks TLS 1.2 at least.
 */
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/tls/tls.h"

/* OpenSSL's own default asks at the terminal. */
static int give_password(char *buf, int size, int writing, void *user)
{
    const pirn_tls_context *context = user;
    size_t n = context->password != NULL ? strlen(context->password) : 0;
    (void)writing;
    if (n == 0 || n > (size_t)size)
        return -1;
    memcpy(buf, context->password, n);
    return (int)n;
}

static int choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
                           const unsigned char *theirs, unsigned theirs_len, void *user)
{
    const pirn_tls_context *context = user;
    unsigned char *chosen;
    (void)ssl;
    if (SSL_select_next_proto(&chosen, ret_len, context->alpn, context->alpn_len, theirs,
                              theirs_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* Any name will do, and is kept with the session: without this a resumed one of TLS 1.2 has
 * none. */
static int take_name(SSL *ssl, int *alert, void *user)
{
    (void)ssl, (void)alert, (void)user;
    return SSL_TLSEXT_ERR_OK;
}

/* "h2,http/1.1" as on the wire. */
static int parse_alpn(pirn_tls_context *context, const char *names)
{
    context->alpn = malloc(strlen(names) + 1);
    if (context->alpn == NULL)
        return -ENOMEM;
    for (const char *name = names;; name++) {
        size_t n = strcspn(name, ",");
        if (n == 0 || n > 255)
            return -EINVAL;
        context->alpn[context->alpn_len] = (unsigned char)n;
        memcpy(context->alpn + context->alpn_len + 1, name, n);
        context->alpn_len += (unsigned)n + 1;
        name += n;
        if (*name == 0)
            return 0;
    }
}

static int set_alpn(pirn_tls_context *context, const char *names, char *ret_text, size_t size)
{
    if (names == NULL)
        return 0;
    int rc = parse_alpn(context, names);
    if (rc == 0 && context->role == PIRN_TLS_SERVER)
        SSL_CTX_set_alpn_select_cb(context->ctx, choose_protocol, context);
    else if (rc == 0 &&
             SSL_CTX_set_alpn_protos(context->ctx, context->alpn, context->alpn_len) != 0)
        rc = -ENOMEM;
    if (rc == -EINVAL)
        pirn_tls_say(ret_text, size, "an ALPN protocol's name is empty, or too long");
    return rc;
}

static int set_trust(pirn_tls_context *context, const pirn_tls_context_config *c)
{
    SSL_CTX *ctx = context->ctx;
    bool client = context->role == PIRN_TLS_CLIENT;
    bool verify =
        client ? (c->flags & PIRN_TLS_NO_VERIFY) == 0 : (c->flags & PIRN_TLS_ASK_CLIENT) != 0;
    SSL_CTX_set_verify(
        ctx, verify ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_NONE, NULL);
    if (!verify)
        return 0;
    if (c->ca_file != NULL && !SSL_CTX_load_verify_file(ctx, c->ca_file))
        return pirn_tls_file_error(c->ret_error, c->error_size, c->ca_file);
    if (c->ca_dir != NULL && access(c->ca_dir, X_OK) != 0) { /* it is looked into later only */
        int rc = -errno;
        pirn_tls_say(c->ret_error, c->error_size, c->ca_dir);
        return rc;
    }
    if (c->ca_dir != NULL && !SSL_CTX_load_verify_dir(ctx, c->ca_dir))
        return pirn_tls_file_error(c->ret_error, c->error_size, c->ca_dir);
    if (c->ca_file == NULL && c->ca_dir == NULL && !SSL_CTX_set_default_verify_paths(ctx))
        return pirn_tls_file_error(c->ret_error, c->error_size, "the system's certificates");
    if (!client && c->ca_file != NULL) { /* clients are told which of theirs will do */
        STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(c->ca_file);
        if (names == NULL)
            return pirn_tls_file_error(c->ret_error, c->error_size, c->ca_file);
        SSL_CTX_set_client_CA_list(ctx, names);
    }
    /* A session may be resumed only where the same was asked for. */
    if (!client)
        SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"pirn", 4);
    return 0;
}

static int set_identity(pirn_tls_context *context, const pirn_tls_context_config *c)
{
    const char *key = c->key != NULL ? c->key : c->certificate;
    if (c->certificate == NULL && (c->key != NULL || context->role == PIRN_TLS_SERVER)) {
        pirn_tls_say(c->ret_error, c->error_size, "a certificate is needed");
        return -EINVAL;
    }
    if (c->certificate == NULL)
        return 0;
    SSL_CTX_set_default_passwd_cb(context->ctx, give_password);
    SSL_CTX_set_default_passwd_cb_userdata(context->ctx, context);
    if (!SSL_CTX_use_certificate_chain_file(context->ctx, c->certificate))
        return pirn_tls_file_error(c->ret_error, c->error_size, c->certificate);
    if (!SSL_CTX_use_PrivateKey_file(context->ctx, key, SSL_FILETYPE_PEM) ||
        !SSL_CTX_check_private_key(context->ctx))
        return pirn_tls_file_error(c->ret_error, c->error_size, key);
    return 0;
}

static int set_up(pirn_tls_context *context, const pirn_tls_context_config *c)
{
    SSL_CTX *ctx = context->ctx;
    int oldest = c->min_version == PIRN_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
    /* Writes are taken up again from other memory; idle connections are small. */
    SSL_CTX_set_mode(ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    if (context->role == PIRN_TLS_SERVER)
        SSL_CTX_set_tlsext_servername_callback(ctx, take_name);
    if (!SSL_CTX_set_min_proto_version(ctx, oldest))
        return pirn_tls_file_error(c->ret_error, c->error_size, "the least version");
    int rc = set_trust(context, c);
    if (rc == 0)
        rc = set_identity(context, c);
    if (rc == 0)
        rc = set_alpn(context, c->alpn, c->ret_error, c->error_size);
    return rc;
}

static bool is_sane(pirn_tls_role role, const pirn_tls_context_config *c)
{
    unsigned client = PIRN_TLS_NO_VERIFY | PIRN_TLS_ANY_HOST;
    unsigned allowed = role == PIRN_TLS_CLIENT ? client : (unsigned)PIRN_TLS_ASK_CLIENT;
    return (role == PIRN_TLS_CLIENT || role == PIRN_TLS_SERVER) && (c->flags & ~allowed) == 0 &&
           (c->min_version == 0 || c->min_version == PIRN_TLS_1_2 ||
            c->min_version == PIRN_TLS_1_3);
}

int pirn_tls_context_new(pirn_tls_context **ret_context, pirn_tls_role role,
                         const pirn_tls_context_config *config)
{
    static const pirn_tls_context_config plain = PIRN_TLS_CONTEXT_CONFIG_INIT;
    const pirn_tls_context_config *c = config != NULL ? config : &plain;
    if (c->size != sizeof(*c))
        return -EINVAL;
    pirn_tls_say(c->ret_error, c->error_size, "a call that makes no sense");
    if (ret_context == NULL || !is_sane(role, c))
        return -EINVAL;
    pirn_tls_say(c->ret_error, c->error_size, strerrordesc_np(ENOMEM)); /* if nothing else is */
    int rc = pirn_tls_bio_init();
    pirn_tls_context *context = rc == 0 ? calloc(1, sizeof(*context)) : NULL;
    if (context == NULL)
        return -ENOMEM;
    atomic_init(&context->refs, 1);
    context->role = role;
    context->flags = c->flags;
    ERR_clear_error();
    context->ctx = SSL_CTX_new(role == PIRN_TLS_CLIENT ? TLS_client_method() : TLS_server_method());
    context->password = c->password != NULL ? strdup(c->password) : NULL;
    if (context->ctx == NULL || (c->password != NULL && context->password == NULL))
        rc = -ENOMEM;
    else
        rc = set_up(context, c);
    ERR_clear_error();
    if (rc != 0) {
        pirn_tls_context_release(context);
        return rc;
    }
    pirn_tls_say(c->ret_error, c->error_size, "");
    *ret_context = context;
    return 0;
}

pirn_tls_context *pirn_tls_context_retain(pirn_tls_context *context)
{
    if (context != NULL)
        atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
}

void pirn_tls_context_release(pirn_tls_context *context)
{
    /* acq_rel: everybody's last use comes before the free */
    if (context == NULL || atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(context->ctx);
    if (context->password != NULL)
        OPENSSL_cleanse(context->password, strlen(context->password));
    free(context->password);
    free(context->alpn);
    free(context);
}

void *pirn_tls_context_native(pirn_tls_context *context)
{
    return context != NULL ? context->ctx : NULL;
}
