/*
 * What OpenSSL says, in errno values and words.
 *
 * Its queue of errors is the thread's, oldest first. The first entry is the cause as a rule; the
 * later ones tell who passed it on.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <string.h>

#include "api/tls/tls.h"

void pirn_tls_say(char *ret_text, size_t size, const char *words)
{
    if (ret_text != NULL && size != 0)
        snprintf(ret_text, size, "%s", words);
}

static void words_of(unsigned long e, char *text, size_t size)
{
    const char *reason = ERR_SYSTEM_ERROR(e) ? NULL : ERR_reason_error_string(e);
    if (e == 0)
        snprintf(text, size, "no reason given");
    else if (ERR_SYSTEM_ERROR(e))
        snprintf(text, size, "%s", strerrordesc_np(ERR_GET_REASON(e)));
    else if (reason != NULL)
        snprintf(text, size, "%s", reason);
    else
        ERR_error_string_n(e, text, size);
}

int pirn_tls_file_error(char *ret_text, size_t size, const char *what)
{
    unsigned long first = ERR_get_error();
    char words[128], line[512];
    words_of(first, words, sizeof(words));
    ERR_clear_error();
    snprintf(line, sizeof(line), "%s: %s", what, words);
    pirn_tls_say(ret_text, size, line);
    if (ERR_SYSTEM_ERROR(first) && ERR_GET_REASON(first) > 0)
        return -ERR_GET_REASON(first);
    return ERR_GET_REASON(first) == ERR_R_MALLOC_FAILURE ? -ENOMEM : -EINVAL;
}

int pirn_tls_failure(const SSL *ssl, char **ret_why)
{
    unsigned long first = ERR_get_error();
    int reason = ERR_GET_LIB(first) == ERR_LIB_SSL ? ERR_GET_REASON(first) : 0;
    char words[128], line[256];
    words_of(first, words, sizeof(words));
    ERR_clear_error();
    /* The result stays what it was where nothing is verified, so the reason decides. */
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
        snprintf(line, sizeof(line), "the peer's certificate: %s",
                 X509_verify_cert_error_string(SSL_get_verify_result(ssl)));
    else
        snprintf(line, sizeof(line), "%s", words);
    *ret_why = strdup(line);
    return reason == SSL_R_CERTIFICATE_VERIFY_FAILED ||
                   reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE
               ? -EKEYREJECTED
               : -EPROTO;
}
