use crate::rows::PerOp;
use crate::{number, work};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::{mpsc, Mutex};
use tokio::task::spawn as start;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

fn fib_of(n: u64) -> Boxed<u64> {
    Box::pin(async move {
        if n < 2 {
            return n;
        }
        let first = start(fib_of(n - 1));
        let second = fib_of(n - 2).await;
        first.await.unwrap() + second
    })
}

pub async fn fib() {
    let (n, mut a, mut b) = (number("n", 30), 0, 1);
    for _ in 0..n {
        (a, b) = (b, a + b);
    }
    let begin = PerOp::begin();
    let result = fib_of(n).await;
    begin.end(b - 1);
    assert_eq!(result, a);
}

/// A channel has no less than one place here; these have one for each child, which is faster.
fn node(up: mpsc::Sender<u64>, number: u64, leaves: u64) -> Boxed<()> {
    Box::pin(async move {
        let mut sum = number;
        if leaves > 1 {
            let (down, mut results) = mpsc::channel(10);
            for i in 0..10 {
                start(node(down.clone(), number + i * (leaves / 10), leaves / 10));
            }
            sum = 0;
            for _ in 0..10 {
                sum += results.recv().await.unwrap();
            }
        }
        up.send(sum).await.unwrap();
    })
}

pub async fn skynet() {
    let leaves = number("leaves", 1_000_000);
    let begin = PerOp::begin();
    let (up, mut result) = mpsc::channel(1);
    start(node(up, 0, leaves));
    let sum = result.recv().await.unwrap();
    begin.end(leaves);
    assert_eq!(sum, leaves * (leaves - 1) / 2);
}

/// With one place in each channel, there being none without.
pub async fn pingpong() {
    let trips = number("trips", 1_000_000);
    let (to, mut from) = mpsc::channel(1);
    let (fro, mut back) = mpsc::channel(1);
    start(async move {
        while let Some(ball) = from.recv().await {
            let _ = fro.send(ball + 1).await;
        }
    });
    let (mut ball, begin) = (0, PerOp::begin());
    for _ in 0..trips {
        to.send(ball).await.unwrap();
        ball = back.recv().await.unwrap();
    }
    begin.end(trips);
    assert_eq!(ball, trips);
}

/// Channels have one receiver here, so the receivers take turns at it.
pub async fn mpmc() {
    let (words, senders) = (number("words", 1_000_000), number("senders", 4));
    let (sending, receiver) = mpsc::channel(number("capacity", 1).max(1) as usize);
    let receiver = Arc::new(Mutex::new(receiver));
    let begin = PerOp::begin();
    for first in 0..senders {
        let sending = sending.clone();
        start(async move {
            for word in (first..words).step_by(senders as usize) {
                sending.send(word).await.unwrap();
            }
        });
    }
    drop(sending);
    let all: Vec<_> = (0..number("receivers", 4))
        .map(|_| {
            let receiver = receiver.clone();
            start(async move {
                let (mut sum, mut count) = (0, 0);
                loop {
                    let word = receiver.lock().await.recv().await;
                    let Some(word) = word else { break };
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

pub async fn mutex() {
    let (tasks, rounds) = (number("tasks", 64), number("rounds", 20_000));
    let (inside, outside) = (number("inside", 32), number("outside", 32));
    let shared = Arc::new(Mutex::new((0, 0)));
    let begin = PerOp::begin();
    let all: Vec<_> = (0..tasks)
        .map(|_| {
            let shared = shared.clone();
            start(async move {
                let mut own = 1;
                for _ in 0..rounds {
                    let mut held = shared.lock().await;
                    held.0 = work(held.0, inside);
                    held.1 += 1;
                    drop(held);
                    own = work(own, outside);
                }
                std::hint::black_box(own);
            })
        })
        .collect();
    for one in all {
        one.await.unwrap();
    }
    begin.end(tasks * rounds);
    assert_eq!(shared.lock().await.1, tasks * rounds);
}
