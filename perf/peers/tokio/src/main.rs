//! The rows for Tokio: peer ROW [key=value ...], printing key=value lines as the bench program
//! does. Each row does the exact work of the file of its name in perf/bench.
//!
//! The form is that of Tokio's tutorial and guides: the multi-threaded runtime, built by hand only to say how
//! many workers; tokio::spawn and a JoinHandle for each task; tokio::sync, tokio::time and tokio::net; what
//! recurses is boxed, as the compiler asks for. Built as Tokio's own benchmarks and most services are:
//! release, with link-time optimization in one unit; the allocator is the system's, as it is unless a program
//! takes another. Where there are two ways the faster one was taken, and the row says so.

mod channels;
mod file;
mod http;
mod net;
mod rows;
mod stuck;
mod sync;
mod timers;

use std::future::Future;
use std::time::Duration;
use tokio::runtime::Builder;

/// The value of key=value on the command line, as text.
pub fn text(key: &str) -> Option<String> {
    std::env::args()
        .skip(2)
        .find_map(|arg| Some(arg.strip_prefix(key)?.strip_prefix('=')?.to_string()))
}

pub fn number(key: &str, fallback: u64) -> u64 {
    text(key).map_or(fallback, |value| value.parse().expect("a number"))
}

pub fn out(key: &str, value: f64) {
    println!("{key}={value:.3}");
}

const MARKS: [(&str, usize); 4] = [("p50", 500), ("p99", 990), ("p999", 999), ("max", 1000)];

pub fn out_samples(name: &str, mut samples: Vec<Duration>) {
    samples.sort();
    let shown: &[_] = if samples.is_empty() { &[] } else { &MARKS };
    for (key, per_mille) in shown {
        let at = samples[(samples.len() * per_mille).div_ceil(1000) - 1];
        out(&format!("{name}_{key}_us"), at.as_nanos() as f64 / 1e3);
    }
    out(&format!("{name}_samples"), samples.len() as f64);
}

/// Seconds of CPU this process has used.
pub fn cpu_time() -> f64 {
    let mut at = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let result = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut at) };
    assert_eq!(result, 0);
    at.tv_sec as f64 + at.tv_nsec as f64 / 1e9
}

/// A field of a file in /proc: "VmRSS:" of /proc/self/status.
pub fn proc(file: &str, field: &str) -> f64 {
    let all = std::fs::read_to_string(file).unwrap();
    let line = all.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The work kernel of perf/bench/work.c.
#[inline(never)]
pub fn work(seed: u64, iterations: u64) -> u64 {
    let mut x = seed | 1;
    for _ in 0..iterations {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    x
}

/// Runs the row as a task, with everything it spawns: on so many workers, or all on this thread if it is to
/// be one, which is what Tokio has the current_thread runtime for (two thirds of the time of a multi_thread
/// runtime with one worker in row yield). runtime=multi has it otherwise.
pub fn run<F: Future<Output = ()> + Send + 'static>(workers: u64, row: F) {
    let alone = workers == 1 && text("runtime").as_deref() != Some("multi");
    let runtime = if alone {
        Builder::new_current_thread().enable_all().build()
    } else {
        Builder::new_multi_thread()
            .worker_threads(workers as usize)
            .enable_all()
            .build()
    };
    runtime
        .unwrap()
        .block_on(async { tokio::spawn(row).await.unwrap() });
}

fn main() {
    let row = std::env::args().nth(1).unwrap_or_default();
    let workers = number("workers", 2);
    match row.as_str() {
        "yield" => rows::yields(),
        "spawn" => run(workers, rows::spawn()),
        "timers" => run(workers, timers::timers()),
        "idle" => run(workers, rows::idle()),
        "cpu" => run(workers, rows::cpu()),
        "echo" => run(workers, net::echo()),
        "http" => run(workers, http::http()),
        "serve" => run(workers, net::serve()),
        "mixed" => run(workers, stuck::mixed()),
        "stuck" => run(workers, stuck::stuck()),
        "fib" => run(workers, sync::fib()),
        "skynet" => run(workers, sync::skynet()),
        "pingpong" => run(number("workers", 1), channels::pingpong()),
        "pingpong-cross" => channels::pingpong_cross(),
        "mpmc" => run(workers, channels::mpmc()),
        "mutex" => run(workers, sync::mutex()),
        "file" => run(workers, file::file()),
        _ => {
            eprintln!("usage: peer ROW [key=value ...]");
            std::process::exit(2);
        }
    }
}
