//! `edgepool bench ledger`: how fast a ledger wears out a card, and how large it grows. The real store on a real
//! disk, in a directory of its own; only the time is virtual.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::shares::{Load, SHARES_PER_S};
use super::system::{Written, file_system};
use super::year;
use crate::shell::store::{Store, StoreError};

/// The intervals of the README's table.
const COMMIT_MS: [u64; 3] = [250, 1_000, 5_000];
/// Room for anything that is measured here.
pub(super) const MAP_MIB: usize = 1_024;
const DAY_MS: u64 = 86_400_000;
/// The card of the table's last column: its bytes, and how often each can be written; makers of cheap cards
/// promise about that.
const CARD_BYTES: u64 = 32_000_000_000;
const CARD_CYCLES: u64 = 1_000;

/// What the figures are.
const NOTES: &str = "
LMDB: the pages that it writes, which the last two columns follow from. kernel: what /proc/self/io charges this
process; newer kernels charge whole folios, of which only the changed pages are written. device: all that
anybody wrote to it meanwhile, the file system's journal too; 0 where there is no device. The card holds 32 GB
and takes each byte 1,000 times; cards write more than they are given: divide by what yours is known for.
";

/// What to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// On whose disk; the system's directory for temporary files when absent.
    pub data_dir: Option<PathBuf>,
    /// A year of blocks instead of wear.
    pub year: bool,
    /// Commits for each interval.
    pub commits: u64,
    /// Miners that work.
    pub miners: u64,
    /// Blocks of the year's days.
    pub blocks_per_day: u64,
}

/// Why nothing was measured.
#[derive(Debug)]
pub enum BenchError {
    /// The ledger failed.
    Store(StoreError),
    /// The system refused: what was being done, and its reason.
    Io(String, io::Error),
    /// The ledger is not what it must be: what is wrong.
    Wrong(String),
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BenchError::Store(error) => error.fmt(f),
            BenchError::Io(doing, error) => write!(f, "{doing}: {error}"),
            BenchError::Wrong(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for BenchError {}

impl From<StoreError> for BenchError {
    fn from(error: StoreError) -> BenchError {
        BenchError::Store(error)
    }
}

/// A directory for one measurement, which goes away with this.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn below(directory: &Path) -> Result<Scratch, BenchError> {
        let scratch = directory.join(format!("edgepool-bench-{}", std::process::id()));
        let failed = |error| BenchError::Io(format!("making {}", scratch.display()), error);
        fs::create_dir(&scratch).map_err(failed)?;
        Ok(Scratch(scratch))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It is the system's directory for temporary files, or the operator named it: what is left is seen.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Measures and prints.
pub fn run(options: &Options, out: &mut impl Write) -> Result<(), BenchError> {
    let directory = options.data_dir.clone().unwrap_or_else(std::env::temp_dir);
    let kind = file_system(&directory);
    let text =
        if options.year { year::measured(&Scratch::below(&directory)?, options)? } else { wear(&directory, options)? };
    let head = format!("on {} ({kind})", directory.display());
    write!(out, "{head}\n{text}").map_err(|error| BenchError::Io("printing".into(), error))
}

fn wear(directory: &Path, options: &Options) -> Result<String, BenchError> {
    let mut text = format!(
        "{SHARES_PER_S} shares a second of {} miners, {} commits for each interval\n\n\
         commit_ms | commits/day | ms/commit | KiB/commit: LMDB, kernel, device | GiB/day | card lasts\n",
        options.miners, options.commits
    );
    for commit_ms in COMMIT_MS {
        let scratch = Scratch::below(directory)?;
        let Cost { ms, lmdb, kernel, device } = commits(&scratch, commit_ms, options)?;
        let per_day = lmdb * (DAY_MS / commit_ms);
        let years = (CARD_BYTES * CARD_CYCLES / per_day.max(1)) as f64 / 365.0;
        let kib = |bytes: u64| bytes as f64 / 1024.0;
        text += &format!(
            "{commit_ms:>9} | {:>11} | {ms:>9.2} | {:>16.1} {:>7.1} {:>7.1} | {:>7.2} | {years:.0} years\n",
            DAY_MS / commit_ms,
            kib(lmdb),
            kib(kernel),
            kib(device),
            per_day as f64 / f64::from(1 << 30),
        );
    }
    Ok(text + NOTES)
}

/// What one commit costs, in bytes.
struct Cost {
    /// Milliseconds that it took.
    ms: f64,
    /// Whole pages of LMDB.
    lmdb: u64,
    /// By the kernel's count for this process.
    kernel: u64,
    /// By the count of the device.
    device: u64,
}

fn commits(scratch: &Scratch, commit_ms: u64, options: &Options) -> Result<Cost, BenchError> {
    let store = Store::open(&scratch.0, MAP_MIB, &["bench"])?;
    let mut load = Load::new(options.miners);
    store.commit(&[(0, &load.begin())])?;
    let page_bytes = store.headroom()?.page_bytes;
    let (before, started) = (Written::now(&scratch.0), Instant::now());
    for _ in 0..options.commits {
        store.commit(&[(0, &load.next(commit_ms))])?;
    }
    let ms = started.elapsed().as_secs_f64() * 1_000.0 / options.commits as f64;
    let written = Written::now(&scratch.0).since(before);
    // Beside its pages LMDB writes a few bytes of its head with each commit, which cost a card another page.
    let pages = written.handed_over / page_bytes + options.commits;
    let per_commit = |bytes: u64| bytes / options.commits;
    let lmdb = per_commit(pages * page_bytes);
    Ok(Cost { ms, lmdb, kernel: per_commit(written.charged), device: per_commit(written.device) })
}
