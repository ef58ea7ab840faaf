//! Row file. tokio::fs has no reads at a place: each task has the file open for itself, and seeks; with
//! variant=direct, which needs aligned memory, each read is a spawn_blocking with the system's pread, as
//! tokio::fs does it inside.

use crate::rows::PerOp;
use crate::{number, text};
use std::fs::{File, OpenOptions};
use std::io::{SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::task::spawn as start;

const BLOCK: usize = 4096;
const O_DIRECT: i32 = if cfg!(target_arch = "aarch64") {
    0o200000
} else {
    0o40000
};

#[repr(align(4096))]
struct Block([u8; BLOCK]);

fn make_file(blocks: u64) -> std::path::PathBuf {
    let dir = text("dir").unwrap_or("/var/tmp".to_string());
    let path = std::path::PathBuf::from(format!("{dir}/bench-file-tokio-{}", std::process::id()));
    let mut made = File::create(&path).unwrap();
    let mut data = vec![0; BLOCK];
    for i in 0..blocks {
        data[..8].copy_from_slice(&i.to_le_bytes());
        made.write_all(&data).unwrap();
    }
    made.sync_all().unwrap();
    path
}

fn step(random: &mut u64, blocks: u64) -> u64 {
    *random = random
        .wrapping_mul(6364136223846793005)
        .wrapping_add(1442695040888963407);
    (*random >> 33) % blocks
}

fn expect(data: &[u8], at: u64) {
    assert_eq!(u64::from_le_bytes(data[..8].try_into().unwrap()), at);
}

async fn hot(mut from: tokio::fs::File, mut random: u64, reads: u64, blocks: u64) {
    let mut data = vec![0; BLOCK];
    for _ in 0..reads {
        let at = step(&mut random, blocks);
        from.seek(SeekFrom::Start(at * BLOCK as u64)).await.unwrap();
        from.read_exact(&mut data).await.unwrap();
        expect(&data, at);
    }
}

async fn direct(from: Arc<File>, mut random: u64, reads: u64, blocks: u64) {
    let mut block = Box::new(Block([0; BLOCK]));
    for _ in 0..reads {
        let at = step(&mut random, blocks);
        let from = from.clone();
        block = tokio::task::spawn_blocking(move || {
            from.read_exact_at(&mut block.0, at * BLOCK as u64).unwrap();
            block
        })
        .await
        .unwrap();
        expect(&block.0, at);
    }
}

pub async fn file() {
    let is_direct = text("variant").as_deref() == Some("direct");
    let tasks = number("tasks", 128);
    let reads = number("reads", if is_direct { 60_000 } else { 400_000 }) / tasks;
    let blocks = number("mib", 256) * (1024 * 1024 / BLOCK as u64);
    let path = make_file(blocks);
    let mut options = OpenOptions::new();
    options.read(true);
    if is_direct {
        options.custom_flags(O_DIRECT);
    }
    let files: Vec<_> = (0..tasks).map(|_| options.open(&path).unwrap()).collect();
    std::fs::remove_file(&path).unwrap();
    let begin = PerOp::begin();
    let all: Vec<_> = files
        .into_iter()
        .zip(1u64..)
        .map(|(from, seed)| {
            let random = seed.wrapping_mul(0x9e3779b97f4a7c15);
            if is_direct {
                start(direct(Arc::new(from), random, reads, blocks))
            } else {
                start(hot(tokio::fs::File::from_std(from), random, reads, blocks))
            }
        })
        .collect();
    for one in all {
        one.await.unwrap();
    }
    begin.end(reads * tasks);
}
