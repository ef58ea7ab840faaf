use crate::net::listen;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{HeaderValue, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"Hello, World!")));
    let plain = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    Ok(response)
}

/// hyper as its guide shows it: a task for each connection, a service function, a static body; hyper adds
/// Content-Length and Date. pipeline_flush is off by default and helps it at depth 16: replies to requests
/// that have come together leave together. There is no router, and no timeout of a head or a write.
pub async fn http() {
    listen(|stream| async move {
        let served = http1::Builder::new()
            .pipeline_flush(true)
            .serve_connection(TokioIo::new(stream), service_fn(hello))
            .await;
        served.map_err(std::io::Error::other)
    })
    .await
}
