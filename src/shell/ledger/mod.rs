//! The commands that look after the ledger's file: `edgepool ledger …`. Those that only read work beside a running
//! daemon; those that write refuse while one holds the ledger. None of them decides about money.

pub mod backup;
mod chain_reader;
pub mod export;
pub mod import;
mod lines;
pub mod rebuild;
pub mod verify;
mod whole_block;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::config::{self, Config, ConfigErrors};
use super::store::StoreError;
use crate::base::limits;

/// Faults that are printed.
const MOST_FAULTS: usize = 100;

/// What to do with a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Write it as JSON lines.
    Export {
        /// The file; standard output when absent.
        to: Option<PathBuf>,
    },
    /// Make it from what [`Task::Export`] wrote, where there is none.
    Import {
        /// The file.
        from: PathBuf,
    },
    /// Copy it compactly.
    Backup {
        /// A new directory.
        to: PathBuf,
    },
    /// Put a backup or an export in its place.
    Restore {
        /// The directory or the file.
        from: PathBuf,
    },
    /// Make it anew from a backup and the chain.
    Rebuild {
        /// The backup's directory, or an export.
        from: PathBuf,
    },
    /// Check it against itself, the running pool and the chain.
    Verify(verify::Options),
}

/// Which ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Which {
    /// The configuration that names it.
    pub config: PathBuf,
    /// The directory that holds `ledger/`; then the configuration is not read.
    pub data_dir: Option<PathBuf>,
}

/// Why a task was not done.
#[derive(Debug)]
pub enum TaskError {
    /// The configuration is wrong.
    Config(ConfigErrors),
    /// The ledger can't be read or written.
    Store(StoreError),
    /// The system refused: what was being done, and its reason.
    Io(String, io::Error),
    /// Something is in the way, or not as it should be: what, and what to do.
    Refused(String),
    /// The ledger is not true.
    Faults {
        /// What was checked, in words.
        checked: String,
        /// Every difference with its place.
        wrong: Vec<String>,
        /// What could not be compared, and why.
        unchecked: Vec<String>,
    },
    /// Nothing is wrong with the ledger as far as it was checked, and not all that was asked for could be.
    Unchecked {
        /// What was checked, in words.
        checked: String,
        /// Differences among it that the pool settles when it runs: a block is not judged yet.
        unjudged: usize,
        /// What was not, and why.
        unchecked: Vec<String>,
    },
}

impl TaskError {
    /// An error of the system while something was done to `path`.
    fn io(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> TaskError {
        let doing = format!("{doing} {}", path.display());
        move |error| TaskError::Io(doing, error)
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskError::Config(errors) => errors.fmt(f),
            TaskError::Store(error) => error.fmt(f),
            TaskError::Io(doing, error) => write!(f, "{doing}: {error}"),
            TaskError::Refused(what) => f.write_str(what),
            TaskError::Faults { wrong, unchecked, .. } => write_faults(f, wrong, unchecked),
            TaskError::Unchecked { unjudged, unchecked, .. } => {
                match unjudged {
                    0 => f.write_str("nothing wrong was found, but")?,
                    1 => f.write_str("a point is left to the pool's judging, and")?,
                    count => write!(f, "{count} points are left to the pool's judging, and")?,
                }
                write!(f, " not everything could be checked:\n{}", unchecked.join("\n"))
            }
        }
    }
}

/// Every fault to the hundredth: what comes after follows from those, as a rule.
fn write_faults(f: &mut fmt::Formatter<'_>, wrong: &[String], unchecked: &[String]) -> fmt::Result {
    let shown = wrong.len().min(MOST_FAULTS);
    write!(f, "the ledger is not true, in {} points:\n{}", wrong.len(), wrong[..shown].join("\n"))?;
    if wrong.len() > shown {
        write!(f, "\n… and {} more", wrong.len() - shown)?;
    }
    if unchecked.is_empty() { Ok(()) } else { write!(f, "\nand not checked:\n{}", unchecked.join("\n")) }
}

impl std::error::Error for TaskError {}

impl From<StoreError> for TaskError {
    fn from(error: StoreError) -> TaskError {
        TaskError::Store(error)
    }
}

/// A ledger as the commands need it.
struct Place {
    data_dir: PathBuf,
    map_mib: usize,
}

impl Which {
    fn place(&self) -> Result<Place, TaskError> {
        if let Some(data_dir) = &self.data_dir {
            // Only addresses are taken by a large map, and the daemon sets its own size.
            return Ok(Place { data_dir: data_dir.clone(), map_mib: limits::MAP_MIB_MAX.min(8 * 1024) });
        }
        let Config { data_dir, map_mib, .. } = config::read(&self.config).map_err(TaskError::Config)?;
        Ok(Place { data_dir, map_mib })
    }
}

/// Does it, and answers what there is to say; nothing where the ledger itself goes to standard output.
pub fn run(which: &Which, task: &Task) -> Result<String, TaskError> {
    let Place { data_dir, map_mib } = which.place()?;
    match task {
        Task::Export { to: None } => export::to_stdout(&data_dir),
        Task::Export { to: Some(file) } => export::to_file(&data_dir, file),
        Task::Import { from } => import::run(&data_dir, map_mib, from),
        Task::Backup { to } => backup::run(&data_dir, to),
        Task::Restore { from } => backup::restore(&data_dir, map_mib, from),
        Task::Verify(options) => verify::run(which, options),
        Task::Rebuild { from } => rebuild::run(which, from),
    }
}

/// What an operator has to do before a ledger that was put back may pay from a wallet.
fn held(path: &std::path::Path) -> String {
    format!(
        "payments from a wallet are held: \"edgepool ledger verify --node\" names what a wallet paid and this ledger does \
         not know. If there is nothing, remove {} and restart edgepool; otherwise that file says what can be done",
        path.display()
    )
}
