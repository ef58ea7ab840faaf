/*
 * TLS over any stream, by OpenSSL: a library of its own, libpirn-tls.
 *
 * Link with pkg-config pirn-tls, or pirn::tls. The conventions at the head of <pirn.h> hold here.
 *
 *     pirn_tls_context *context;
 *     pirn_stream *stream = NULL;
 *     char why[128] = "";
 *     pirn_tls_config config = PIRN_TLS_CONFIG_INIT;
 *     config.ret_error = why;
 *     config.error_size = sizeof(why);
 *     int rc = pirn_tls_context_new(&context, PIRN_TLS_CLIENT, NULL); // once in a program
 *     ...
 *     rc = pirn_stream_connect(&stream, "example.org", "443", NULL, NULL, deadline);
 *     if (rc == 0)
 *         rc = pirn_tls_client(&stream, stream, context, "example.org", &config, deadline);
 *     if (rc != 0) {
 *         fprintf(stderr, "%s %s\n", strerror(-rc), why);
 *         pirn_stream_release(stream);
 *     }
 *
 * A pirn_server has its connections opened by it, and its handlers get streams over TLS:
 *
 *     pirn_server_config config = PIRN_SERVER_CONFIG_INIT;
 *     config.open = pirn_tls_open;
 *     config.open_user = context; // of a PIRN_TLS_SERVER; released after the server has stopped
 *     rc = pirn_server_new(&server, handle, NULL, &config);
 *
 * A handler that begins in the clear (STARTTLS) shakes hands itself, by pirn_tls_server. There the
 * stream below is the server's, so it gives a reference of its own, and closes what it got before
 * it returns:
 *
 *     rc = pirn_tls_server(&stream, pirn_stream_retain(below), context, NULL, pirn_after_s(10));
 *     if (rc != 0) {
 *         pirn_stream_release(below);
 *         return rc;
 *     }
 *     rc = talk(stream);
 *     pirn_stream_close(stream, pirn_after_s(30)); // the server's linger is for below alone
 *     pirn_stream_release(stream);
 *     return rc;
 *
 * (An idle time of the server's holds for both.)
 *
 * A stream over TLS is a stream like any: one that reads beside any number that write; a read or a
 * write that was cancelled or timed out did not happen, and the next one goes on where it was.
 *
 *   Reading    0 is an end that the peer has confirmed. A connection that ends without that is
 *              -ECONNRESET: something may be missing, and somebody else may have cut it. -EPROTO:
 *              the peer broke the protocol, or refused (an alert); then nothing can be written any
 *              more either.
 *   The end    pirn_stream_end tells the peer that nothing more comes; reading goes on, and the
 *              stream below stays open. pirn_stream_close tells it too, without waiting for the
 *              peer's word. A pirn_stream_abort, or the release of a stream that was not closed,
 *              says nothing: the peer finds its input cut. (As ever with sockets: what the peer
 *              sends and nobody reads may take the last bytes it was sent with it. Read to the end
 *              where that matters.)
 *   Memory     an end that waits costs some 15 KB, most of it OpenSSL's (30 KB with OpenSSL 3.5);
 *              in use, a record's 16 KiB more.
 *   Stacks     a handshake needs less than 32 KiB of a coroutine's stack with OpenSSL 3.0 and 3.5.
 *
 * TLS 1.2 and 1.3; no renegotiation, no early data. A server's context resumes sessions by tickets,
 * as is OpenSSL's default; a client's shakes hands in full each time.
 * (After asyncio's ssl= and start_tls, and Python's ssl.SSLContext.)
 */
#ifndef PIRN_TLS_H
#define PIRN_TLS_H

#include <pirn.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Contexts ---------------------------------------------------------------------------- */

/* What many connections share: who is trusted, who one is. Counted by reference; constant. */
typedef struct pirn_tls_context pirn_tls_context;

typedef enum pirn_tls_role {
    PIRN_TLS_CLIENT,
    PIRN_TLS_SERVER
} pirn_tls_role;

enum {
    PIRN_TLS_NO_VERIFY = 1u << 0,  /* of a client: any server is taken, an impostor too */
    PIRN_TLS_ANY_HOST = 1u << 1,   /* of a client: the certificate must be good, whoever's it is */
    PIRN_TLS_ASK_CLIENT = 1u << 2, /* of a server: clients must have a certificate that is good */
};

typedef enum pirn_tls_version {
    PIRN_TLS_1_2 = 2,
    PIRN_TLS_1_3 = 3
} pirn_tls_version;

typedef struct pirn_tls_context_config {
    size_t size;         /* sizeof(pirn_tls_context_config), set by PIRN_TLS_CONTEXT_CONFIG_INIT */
    unsigned flags;      /* PIRN_TLS_... */
    const char *ca_file; /* PEM: certificates that are trusted ... */
    const char *ca_dir;  /* ... and a directory of them (openssl rehash); both NULL: those that the
                                     system trusts */
    const char *certificate; /* PEM file: one's own, then those up to the root. A server needs it */
    const char *key;         /* PEM file: its private key; NULL: in the same file */
    const char *password;    /* of the key; NULL: it has none. (Nobody is ever asked for one.) */
    /* Protocols, the best first: "h2,http/1.1"; NULL: not spoken of. A server takes the first of
     * its own that the client has, and refuses a client that has others only. */
    const char *alpn;
    pirn_tls_version min_version; /* 0: PIRN_TLS_1_2 */
    char *ret_error;              /* if it fails: why, in words, cut to fit; NULL: nobody asks */
    size_t error_size;
} pirn_tls_context_config;

#define PIRN_TLS_CONTEXT_CONFIG_INIT \
    { \
        sizeof(pirn_tls_context_config), 0, NULL, NULL, NULL, NULL, NULL, NULL, \
            (pirn_tls_version)0, NULL, 0 \
    }

/* Reads the files it names, which takes a while: not for each connection. config may be NULL, for a
 * client. [anywhere; does not suspend, but may block for the disk] -ENOENT, -EACCES, ...: a file;
 * -EINVAL: one that is not what it should be, a key of another certificate; -ENOMEM. */
PIRN_API PIRN_MUST_USE int pirn_tls_context_new(pirn_tls_context **ret_context, pirn_tls_role role,
                                                const pirn_tls_context_config *config);
PIRN_API pirn_tls_context *pirn_tls_context_retain(pirn_tls_context *context); /* [anywhere] */
PIRN_API void pirn_tls_context_release(pirn_tls_context *context);             /* [anywhere] */

/* OpenSSL's SSL_CTX, borrowed, for what is not in the config (ciphers, revocation, one certificate
 * for each name, ...): before the first connection. Callbacks must not suspend. [anywhere] */
PIRN_API void *pirn_tls_context_native(pirn_tls_context *context);

/* ---- Connections ------------------------------------------------------------------------- */

typedef struct pirn_tls_config {
    size_t size;                      /* sizeof(pirn_tls_config), set by PIRN_TLS_CONFIG_INIT */
    const pirn_stream_config *stream; /* of the new stream; NULL: the defaults */
    char *ret_error; /* if the handshake fails: why, in words, cut to fit; NULL: nobody asks */
    size_t error_size;
} pirn_tls_config;

#define PIRN_TLS_CONFIG_INIT \
    { \
        sizeof(pirn_tls_config), NULL, NULL, 0 \
    }

/*
 * Shakes hands over the stream below, and gives a new stream, to which below belongs from then on
 * (the caller's reference; nobody else may read or write it). host, a name or an IP address, is
 * told to the server, and its certificate must name it as a subjectAltName (a common name counts
 * for nothing, RFC 9525); NULL only where any host will do. config may be NULL. [coroutine;
 * suspends]
 *
 * After an error below is still the caller's, of no more use than to be released:
 *   -EKEYREJECTED  the peer's certificate: not trusted, expired, another host's, none; see
 *                  config->ret_error
 *   -EPROTO        no version, cipher or ALPN protocol in common; what came is not TLS; the peer
 *                  has refused, one's certificate perhaps (of TLS 1.3 a client hears of that with
 *                  its first read)
 *   -ECONNRESET    it ended in the middle
 *   -ETIMEDOUT, -ECANCELED, -EINVAL, -EPERM, -ENOMEM, and what reading and writing below returns
 */
PIRN_API PIRN_MUST_USE int pirn_tls_client(pirn_stream **ret_stream, pirn_stream *below,
                                           pirn_tls_context *context, const char *host,
                                           const pirn_tls_config *config, pirn_time deadline);
PIRN_API PIRN_MUST_USE int pirn_tls_server(pirn_stream **ret_stream, pirn_stream *below,
                                           pirn_tls_context *context, const pirn_tls_config *config,
                                           pirn_time deadline);

/* A pirn_server's config->open: pirn_tls_server with the context that its open_user is. What the
 * handler gets has a stream's defaults; a function of the program's may say other ones, and keep
 * why a client's handshake has failed (pirn_tls_config). */
PIRN_API PIRN_MUST_USE int pirn_tls_open(void *context, pirn_stream **ret_stream,
                                         pirn_stream *below, pirn_time deadline);

/* ---- Looking at one: [anywhere; do not suspend]; -EINVAL or NULL: not over TLS --------------- */

/* The protocol agreed on, the stream's own; "": none. */
PIRN_API const char *pirn_tls_alpn(const pirn_stream *stream);
PIRN_API const char *pirn_tls_version_name(const pirn_stream *stream); /* "TLSv1.3" */
PIRN_API const char *pirn_tls_cipher(const pirn_stream *stream); /* "TLS_AES_256_GCM_SHA384" */
/* The name a client has asked for, by who serves several; "": none. */
PIRN_API const char *pirn_tls_host(const pirn_stream *stream);
/* Whom the peer's certificate names (RFC 2253: "CN=example.org,O=..."): its length. -ENOENT: it has
 * shown none; -ENOSPC. Nothing was checked if the context said so. */
PIRN_API int pirn_tls_peer(const pirn_stream *stream, char *ret_text, size_t size);
/* Why TLS has failed since, in words: its length, 0 if it has not; -ENOSPC. */
PIRN_API int pirn_tls_error(const pirn_stream *stream, char *ret_text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
