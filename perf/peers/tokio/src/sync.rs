use crate::rows::PerOp;
use crate::{number, text, work};
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

/// tokio::sync::Mutex, which a task may hold while it waits and which does not block its thread, as pirn's.
/// how=std is the standard library's, which Tokio's tutorial (Shared state) prefers where nothing is awaited
/// inside, as is so here: one thread then blocks the other.
pub async fn mutex() {
    if text("how").as_deref() == Some("std") {
        rounds(std::sync::Mutex::new((0, 0))).await;
    } else {
        rounds(Mutex::new((0, 0))).await;
    }
}

type Held = (u64, u64);

trait Lock: Send + Sync + 'static {
    fn with(&self, f: impl FnOnce(&mut Held) + Send) -> impl Future<Output = ()> + Send;
}

impl Lock for Mutex<Held> {
    async fn with(&self, f: impl FnOnce(&mut Held) + Send) {
        f(&mut *self.lock().await);
    }
}

impl Lock for std::sync::Mutex<Held> {
    async fn with(&self, f: impl FnOnce(&mut Held) + Send) {
        f(&mut self.lock().unwrap());
    }
}

async fn rounds(shared: impl Lock) {
    let (tasks, rounds) = (number("tasks", 64), number("rounds", 20_000));
    let (inside, outside) = (number("inside", 32), number("outside", 32));
    let shared = Arc::new(shared);
    let begin = PerOp::begin();
    let all: Vec<_> = (0..tasks)
        .map(|_| {
            let shared = shared.clone();
            start(async move {
                let mut own = 1;
                for _ in 0..rounds {
                    let section = |held: &mut Held| {
                        held.0 = work(held.0, inside);
                        held.1 += 1;
                    };
                    shared.with(section).await;
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
    shared.with(|held| assert_eq!(held.1, tasks * rounds)).await;
}
