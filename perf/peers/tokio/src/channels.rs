//! Rows pingpong, pingpong-cross and mpmc.

use crate::rows::PerOp;
use crate::{number, run, text};
use std::future::Future;
use std::sync::Arc;
use tokio::sync::{mpsc, Mutex};
use tokio::task::spawn as start;

/// One end sends the ball and waits for it. With one place in each channel: tokio::sync has none without.
async fn ping(to: mpsc::Sender<u64>, mut back: mpsc::Receiver<u64>, trips: u64) {
    let (mut ball, begin) = (0, PerOp::begin());
    for _ in 0..trips {
        to.send(ball).await.unwrap();
        ball = back.recv().await.unwrap();
    }
    begin.end(trips);
    assert_eq!(ball, trips);
}

async fn pong(mut from: mpsc::Receiver<u64>, fro: mpsc::Sender<u64>) {
    while let Some(ball) = from.recv().await {
        let _ = fro.send(ball + 1).await;
    }
}

pub async fn pingpong() {
    let ((to, from), (fro, back)) = (mpsc::channel(1), mpsc::channel(1));
    start(pong(from, fro));
    ping(to, back, number("trips", 1_000_000)).await;
}

/// Two threads with a current_thread runtime each, as Tokio's documentation keeps tasks on a thread of their
/// own (the module runtime, LocalSet); its channels go between runtimes.
pub fn pingpong_cross() {
    let ((to, from), (fro, back)) = (mpsc::channel(1), mpsc::channel(1));
    let other = std::thread::spawn(|| run(1, pong(from, fro)));
    run(1, ping(to, back, number("trips", 100_000)));
    other.join().unwrap();
}

trait Sending: Clone + Send + 'static {
    fn put(&self, word: u64) -> impl Future<Output = ()> + Send;
}

trait Receiving: Clone + Send + 'static {
    fn take(&self) -> impl Future<Output = Option<u64>> + Send;
}

impl Sending for async_channel::Sender<u64> {
    async fn put(&self, word: u64) {
        self.send(word).await.unwrap();
    }
}

impl Receiving for async_channel::Receiver<u64> {
    async fn take(&self) -> Option<u64> {
        self.recv().await.ok()
    }
}

impl Sending for flume::Sender<u64> {
    async fn put(&self, word: u64) {
        self.send_async(word).await.unwrap();
    }
}

impl Receiving for flume::Receiver<u64> {
    async fn take(&self) -> Option<u64> {
        self.recv_async().await.ok()
    }
}

impl Sending for mpsc::Sender<u64> {
    async fn put(&self, word: u64) {
        self.send(word).await.unwrap();
    }
}

impl Receiving for Arc<Mutex<mpsc::Receiver<u64>>> {
    async fn take(&self) -> Option<u64> {
        self.lock().await.recv().await
    }
}

async fn words<S: Sending, R: Receiving>((sending, receiving): (S, R)) {
    let (words, senders) = (number("words", 1_000_000), number("senders", 4));
    let begin = PerOp::begin();
    for first in 0..senders {
        let sending = sending.clone();
        start(async move {
            for word in (first..words).step_by(senders as usize) {
                sending.put(word).await;
            }
        });
    }
    drop(sending);
    let all: Vec<_> = (0..number("receivers", 4))
        .map(|_| {
            let receiving = receiving.clone();
            start(async move {
                let (mut sum, mut count) = (0, 0);
                while let Some(word) = receiving.take().await {
                    sum += word;
                    count += 1;
                }
                (sum, count)
            })
        })
        .collect();
    let (mut sum, mut count) = (0, 0);
    for one in all {
        let (s, c) = one.await.unwrap();
        sum += s;
        count += c;
    }
    begin.end(words);
    assert_eq!((count, sum), (words, words * (words - 1) / 2));
}

/// tokio::sync has no channel that gives each word to one of several receivers. Tokio's tutorial (Channels)
/// sends who needs one to async-channel; flume is the other one in wide use, has channels without capacity
/// as well, and was the faster one at each (390, 390, 40 to 150, 70 to 110 ns at 0, 1, 64, 1024). how=async
/// is async-channel (460, 160, 90 to 120 from 1 on), how=mpsc is tokio's own channel with its receivers
/// taking turns at a mutex (500, 400 to 500, 340, 400).
pub async fn mpmc() {
    let capacity = number("capacity", 0) as usize;
    match text("how").as_deref() {
        Some("mpsc") => {
            let (sending, receiver) = mpsc::channel(capacity.max(1));
            words((sending, Arc::new(Mutex::new(receiver)))).await
        }
        Some("async") => words(async_channel::bounded(capacity.max(1))).await,
        _ => words(flume::bounded(capacity)).await,
    }
}
