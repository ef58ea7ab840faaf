//! Row timers. As a program arms a timer here: a task that sleeps, aborted when nobody needs it any more.
//! variant=queue is tokio_util's DelayQueue, made for very many of them (its example is a cache's expiry): one
//! task owns the wheel and everything in it, so another one cannot cancel without asking it.

use crate::rows::variant;
use crate::{cpu_time, number, out, out_samples};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::task::{spawn as start, yield_now};
use tokio_util::time::DelayQueue;

struct Plan {
    n: u64,
    span: Duration,
    first: Instant,
}

impl Plan {
    fn until(&self, i: u64) -> Instant {
        let place = (i * 7919 % self.n) as f64;
        self.first + self.span.mul_f64(place / self.n as f64)
    }
}

/// Prints what a step took for each of count timers; the next one begins now.
struct Step(Instant, f64);

impl Step {
    fn begin() -> Self {
        Step(Instant::now(), cpu_time())
    }

    fn end(&mut self, what: &str, count: u64) {
        let next = Step::begin();
        let per = 1e9 / count as f64;
        out(
            &format!("ns_per_{what}"),
            (next.0 - self.0).as_secs_f64() * per,
        );
        out(&format!("cpu_ns_per_{what}"), (next.1 - self.1) * per);
        *self = next;
    }
}

async fn tasks(plan: Plan, mut step: Step) -> Vec<Duration> {
    static ARMED: AtomicU64 = AtomicU64::new(0);
    let all: Vec<_> = (0..plan.n)
        .map(|i| {
            let until = plan.until(i);
            start(async move {
                ARMED.fetch_add(1, Relaxed);
                tokio::time::sleep_until(until.into()).await;
                until.elapsed()
            })
        })
        .collect();
    while ARMED.load(Relaxed) < plan.n {
        yield_now().await;
    }
    step.end("arm", plan.n);
    let (mut kept, mut cancelled) = (Vec::new(), Vec::new());
    for (i, task) in all.into_iter().enumerate() {
        if i % 10 == 0 {
            kept.push(task);
        } else {
            task.abort();
            cancelled.push(task);
        }
    }
    let count = cancelled.len() as u64;
    for task in cancelled {
        assert!(task.await.unwrap_err().is_cancelled());
    }
    step.end("cancel", count);
    let mut late = Vec::new();
    for task in kept {
        late.push(task.await.unwrap());
    }
    late
}

async fn queue(plan: Plan, mut step: Step) -> Vec<Duration> {
    let mut queue = DelayQueue::new();
    let keys: Vec<_> = (0..plan.n)
        .map(|i| queue.insert_at(plan.until(i), plan.until(i).into()))
        .collect();
    step.end("arm", plan.n);
    for (i, key) in keys.iter().enumerate() {
        if i % 10 != 0 {
            queue.remove(key);
        }
    }
    step.end("cancel", plan.n - plan.n.div_ceil(10));
    let mut late = Vec::new();
    while let Some(expired) = std::future::poll_fn(|at| queue.poll_expired(at)).await {
        late.push(expired.into_inner().elapsed());
    }
    late
}

pub async fn timers() {
    let n = number("n", 1_000_000);
    let step = Step::begin();
    let plan = Plan {
        n,
        span: Duration::from_secs(number("seconds", 10)),
        first: step.0 + Duration::from_secs(number("lead", 4)),
    };
    let first = plan.first;
    let late = if variant("queue") {
        queue(plan, step).await
    } else {
        tasks(plan, step).await
    };
    assert!(Instant::now() >= first && late.len() as u64 == n.div_ceil(10));
    out_samples("lateness", late);
}
