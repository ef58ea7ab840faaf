/* A program of somebody else's, built against an installed libpirn-tls (see test_package.sh). */
#include <pirn.h>
#include <pirn/tls.h>
#include <stdio.h>

static int start(void *arg)
{
    pirn_tls_context *context;
    int rc = pirn_tls_context_new(&context, PIRN_TLS_CLIENT, NULL);
    (void)arg;
    if (rc == 0)
        pirn_tls_context_release(context);
    return rc;
}

int main(void)
{
    printf("TLS says %d\n", pirn_run(start, NULL));
    return 0;
}
