use crate::net::MESSAGE;
use crate::{cpu_time, number, out, out_samples, proc, work};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{yield_now, JoinHandle};
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);
static STOP_PROBE: AtomicBool = AtomicBool::new(false);
static WARMING_UP: AtomicBool = AtomicBool::new(false);

/// The sleeper and the client of perf/bench/probe.c.
struct Probe(JoinHandle<Vec<Duration>>, JoinHandle<Vec<Duration>>);

impl Probe {
    fn start() -> Self {
        STOP_PROBE.store(false, Relaxed);
        Probe(tokio::spawn(sleeper()), tokio::spawn(client()))
    }

    /// Ends it and adds its samples.
    async fn end(self, late: &mut Vec<Duration>, trip: &mut Vec<Duration>) {
        STOP_PROBE.store(true, Relaxed);
        late.extend(self.0.await.unwrap());
        trip.extend(self.1.await.unwrap());
    }
}

fn add(samples: &mut Vec<Duration>, sample: Duration) {
    if !WARMING_UP.load(Relaxed) {
        samples.push(sample);
    }
}

async fn sleeper() -> Vec<Duration> {
    let mut late = Vec::new();
    while !STOP_PROBE.load(Relaxed) {
        let until = Instant::now() + MS;
        sleep(MS).await;
        add(&mut late, until.elapsed());
    }
    late
}

async fn client() -> Vec<Duration> {
    let mut trip = Vec::new();
    let port = number("echo", 0) as u16;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut message = [0; MESSAGE];
    while !STOP_PROBE.load(Relaxed) {
        let begin = Instant::now();
        stream.write_all(&message).await.unwrap();
        stream.read_exact(&mut message).await.unwrap();
        add(&mut trip, begin.elapsed());
        sleep(MS).await;
    }
    trip
}

fn report(late: Vec<Duration>, trip: Vec<Duration>) {
    out_samples("lateness", late);
    out_samples("trip", trip);
    out("threads", proc("/proc/self/status", "Threads:"));
}

pub async fn mixed() {
    const PIECES: u64 = 20;
    static DONE: AtomicU64 = AtomicU64::new(0);
    static STOP: AtomicBool = AtomicBool::new(false);
    let burst = number("burst_iters", 20_000_000);
    let hog = move || async move {
        let mut x = 1;
        while !STOP.load(Relaxed) {
            for _ in 0..PIECES {
                x = work(x, burst / PIECES);
                DONE.fetch_add(1, Relaxed);
            }
            yield_now().await;
        }
        x
    };
    let hogs: Vec<_> = (0..number("hogs", 4))
        .map(|_| tokio::spawn(hog()))
        .collect();
    let (mut late, mut trip) = (Vec::new(), Vec::new());
    let (mut took, mut count) = ([0.0; 2], [0.0; 2]);
    let (begin, used) = (Instant::now(), cpu_time());
    for i in 0..number("stretches", 4) as usize {
        let probe = (i % 2 == 1).then(Probe::start);
        let (from, before) = (Instant::now(), DONE.load(Relaxed));
        sleep(MS * number("stretch_ms", 2000) as u32).await;
        count[i % 2] += (DONE.load(Relaxed) - before) as f64;
        took[i % 2] += from.elapsed().as_secs_f64();
        if let Some(probe) = probe {
            probe.end(&mut late, &mut trip).await;
        }
    }
    out("cpu", (cpu_time() - used) / begin.elapsed().as_secs_f64());
    STOP.store(true, Relaxed);
    for hog in hogs {
        std::hint::black_box(hog.await.unwrap());
    }
    let (alone, beside) = (count[0] / took[0], count[1] / took[1]);
    out("hog_bursts_per_s", beside / PIECES as f64);
    out("hogs_share", beside / alone);
    report(late, trip);
}

pub async fn stuck() {
    let spin = MS * number("spin_ms", 2000) as u32;
    let blocked = number("blocked", 2);
    let (reader, mut writer) = UnixStream::pair().unwrap();
    let (mut late, mut trip) = (Vec::new(), Vec::new());
    WARMING_UP.store(true, Relaxed);
    let probe = Probe::start();
    sleep(MS * 200).await;
    WARMING_UP.store(false, Relaxed);
    let begin = Instant::now();
    let releaser = std::thread::spawn(move || {
        std::thread::sleep(spin);
        writer.write_all(&vec![0; blocked as usize]).unwrap();
        writer
    });
    let mut all = Vec::new();
    for _ in 0..number("spinners", 2) {
        all.push(tokio::spawn(async move {
            let (mut x, until) = (1, Instant::now() + spin);
            while Instant::now() < until {
                x = work(x, 10_000);
            }
            std::hint::black_box(x);
        }));
    }
    for _ in 0..blocked {
        let mut reader = reader.try_clone().unwrap();
        all.push(tokio::spawn(
            async move { reader.read_exact(&mut [0]).unwrap() },
        ));
    }
    for task in all {
        task.await.unwrap();
    }
    probe.end(&mut late, &mut trip).await;
    out("stuck_s", begin.elapsed().as_secs_f64());
    drop(releaser.join().unwrap());
    report(late, trip);
}
