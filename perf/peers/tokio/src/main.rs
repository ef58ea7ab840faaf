//! The rows for Tokio: peer ROW [key=value ...], printing key=value lines as the bench program
//! does. Each row does the exact work of the file of its name in perf/bench.

mod file;
mod http;
mod net;
mod rows;
mod stuck;
mod sync;

use std::future::Future;
use std::time::Duration;

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

/// Seconds of CPU this process has used; ticks of 10 ms.
pub fn cpu_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    let ticks = |i: usize| fields[i].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
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

/// Runs the row as a task, on a worker, with everything it spawns.
pub fn run<F: Future<Output = ()> + Send + 'static>(workers: u64, row: F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers as usize)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::spawn(row).await.unwrap() });
}

fn main() {
    let row = std::env::args().nth(1).unwrap_or_default();
    let workers = number("workers", 2);
    match row.as_str() {
        "yield" => rows::yields(),
        "spawn" => run(workers, rows::spawn()),
        "timers" => run(workers, rows::timers()),
        "idle" => run(workers, rows::idle()),
        "cpu" => run(workers, rows::cpu()),
        "echo" => run(workers, net::echo()),
        "http" => run(workers, http::http()),
        "serve" => run(workers, net::serve()),
        "mixed" => run(workers, stuck::mixed()),
        "stuck" => run(workers, stuck::stuck()),
        "fib" => run(workers, sync::fib()),
        "skynet" => run(workers, sync::skynet()),
        "pingpong" => run(number("workers", 1), sync::pingpong()),
        "mpmc" => run(workers, sync::mpmc()),
        "mutex" => run(workers, sync::mutex()),
        "file" => run(workers, file::file()),
        _ => {
            eprintln!("usage: peer ROW [key=value ...]");
            std::process::exit(2);
        }
    }
}
