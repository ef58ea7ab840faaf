use crate::{cpu_time, number, out, proc, run, text, work};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::task::{spawn as start, yield_now, JoinHandle};

pub fn variant(name: &str) -> bool {
    text("variant").as_deref() == Some(name)
}

pub struct PerOp(Instant, f64);

impl PerOp {
    pub fn begin() -> Self {
        PerOp(Instant::now(), cpu_time())
    }

    pub fn end(self, ops: u64) {
        out("ns_per_op", self.0.elapsed().as_nanos() as f64 / ops as f64);
        out("cpu_ns_per_op", (cpu_time() - self.1) * 1e9 / ops as f64);
    }
}

pub fn yields() {
    let wide = variant("wide");
    let workers = number("workers", if wide { 2 } else { 1 });
    run(workers, async move {
        let tasks = number("tasks", if wide { 200 } else { 10 });
        let yields = number("yields", if wide { 100_000 } else { 1_000_000 });
        let begin = PerOp::begin();
        let yielding = || async move {
            for _ in 0..yields {
                yield_now().await;
            }
        };
        let all: Vec<_> = (0..tasks).map(|_| start(yielding())).collect();
        for task in all {
            task.await.unwrap();
        }
        begin.end(tasks * yields);
    });
}

pub async fn spawn() {
    let count = number("count", 1_000_000);
    let batch = number("batch", if variant("batch") { 10_000 } else { 1 });
    let mut all: Vec<JoinHandle<()>> = Vec::with_capacity(batch as usize);
    let begin = PerOp::begin();
    for _ in 0..count / batch {
        all.extend((0..batch).map(|_| start(async {})));
        for task in all.drain(..) {
            task.await.unwrap();
        }
    }
    begin.end(count / batch * batch);
}

pub async fn idle() {
    static STARTED: AtomicU64 = AtomicU64::new(0);
    let n = number("n", 1_000_000);
    let rss = || proc("/proc/self/smaps_rollup", "Rss:");
    let before = rss();
    let until = Instant::now() + Duration::from_secs(number("hold", 30));
    let mut all = Vec::with_capacity(n as usize);
    for _ in 0..n {
        all.push(start(async move {
            STARTED.fetch_add(1, Relaxed);
            tokio::time::sleep_until(until.into()).await;
        }));
    }
    while STARTED.load(Relaxed) < n {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    out("bytes_each", (rss() - before) * 1024.0 / n as f64);
    for task in all {
        task.await.unwrap();
    }
    out("last_lateness_ms", until.elapsed().as_micros() as f64 / 1e3);
}

pub async fn cpu() {
    let (tasks, bursts) = (number("tasks", 100), number("bursts", 20));
    let iterations = number("burst_iters", 250_000);
    let (begin, used) = (Instant::now(), cpu_time());
    let compute = || async move {
        let mut x = 1;
        for _ in 0..bursts {
            x = work(x, iterations);
            yield_now().await;
        }
        x
    };
    let all: Vec<_> = (0..tasks).map(|_| start(compute())).collect();
    for task in all {
        std::hint::black_box(task.await.unwrap());
    }
    let wall = begin.elapsed().as_secs_f64();
    out("bursts_per_s", (tasks * bursts) as f64 / wall);
    out("cpu_s", cpu_time() - used);
    out("wall_s", wall);
}
