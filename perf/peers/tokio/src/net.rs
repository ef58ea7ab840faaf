use crate::work;
use std::future::Future;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub const MESSAGE: usize = 64;

pub async fn listen<F, S>(serve_one: S)
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
    S: Fn(TcpStream) -> F,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("listening on {}", listener.local_addr().unwrap());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        tokio::spawn(serve_one(stream));
    }
}

pub async fn echo() {
    listen(|mut stream| async move {
        let mut buf = [0; 4096];
        loop {
            let n = stream.read(&mut buf).await?;
            if n == 0 {
                return Ok(());
            }
            stream.write_all(&buf[..n]).await?;
        }
    })
    .await
}

pub async fn serve() {
    listen(|mut stream| async move {
        let mut message = [0u8; MESSAGE];
        let mut x = 1;
        loop {
            stream.read_exact(&mut message).await?;
            let iterations = u32::from_le_bytes(message[..4].try_into().unwrap());
            x = work(x, iterations.into());
            message[5] = x as u8;
            stream.write_all(&message).await?;
        }
    })
    .await
}
