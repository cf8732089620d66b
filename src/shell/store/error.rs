//! Why the ledger's file can't be opened, read or written, in words that say what to do.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use heed::MdbError;

/// What a full ledger has run out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// The map, whose size is configured.
    Map,
    /// The disk, the quota or the largest file size.
    Disk,
}

/// Why the ledger could not be opened, read or written.
#[derive(Debug)]
pub enum StoreError {
    /// No room. Nothing of the batch was written, and everything earlier is whole.
    Full(Space),
    /// Another process has the ledger open for writing.
    Locked {
        /// The ledger's directory.
        directory: PathBuf,
        /// The process id that the other one left in the lock file; empty when it left none.
        holder: String,
    },
    /// The ledger was written by a newer edgepool, or by an older one and only reading was asked for.
    Schema {
        /// The version on disk.
        found: u32,
        /// The version that this edgepool writes.
        known: u32,
    },
    /// The ledger was written on a machine of another word size.
    Foreign {
        /// Bits of that machine's words.
        bits: usize,
    },
    /// Something is not what this edgepool would have written; says where.
    Damaged(String),
    /// The ledger is out of use: it was damaged or is being replaced, and an empty one must not take its place
    /// unasked.
    SetAside {
        /// What is damaged, when that was found just now.
        what: Option<String>,
        /// The directory that holds the file.
        kept: PathBuf,
    },
    /// There is no ledger in this directory.
    Missing(PathBuf),
    /// There was a ledger in this directory, and it was taken away.
    Lost {
        /// The ledger's directory.
        directory: PathBuf,
    },
    /// A pool's ledger is of other coins than the configuration says.
    OtherChains {
        /// The pool.
        pool: String,
        /// Coin and network of each of its chains, as the ledger has them.
        recorded: String,
        /// As the configuration has them.
        configured: String,
    },
    /// The system refused: what was being done, and its reason.
    Io(String, io::Error),
    /// LMDB refused.
    Lmdb(MdbError),
}

/// Whether an error of the system means that there is no room.
pub(super) fn means_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// An error of the system, with what was being done to what.
pub(super) fn io_error(doing: &str, path: &std::path::Path) -> impl FnOnce(io::Error) -> StoreError {
    let doing = format!("{doing} {}", path.display());
    move |error| {
        if means_full(&error) { StoreError::Full(Space::Disk) } else { StoreError::Io(doing, error) }
    }
}

impl From<heed::Error> for StoreError {
    fn from(error: heed::Error) -> StoreError {
        match error {
            heed::Error::Mdb(MdbError::MapFull) => StoreError::Full(Space::Map),
            heed::Error::Mdb(
                error @ (MdbError::Corrupted
                | MdbError::Invalid
                | MdbError::VersionMismatch
                | MdbError::PageNotFound
                | MdbError::Incompatible
                | MdbError::CursorFull
                | MdbError::PageFull
                | MdbError::Problem),
            ) => StoreError::Damaged(format!("LMDB can't read the file: {error}")),
            heed::Error::Mdb(error) => StoreError::Lmdb(error),
            heed::Error::Io(error) if means_full(&error) => StoreError::Full(Space::Disk),
            heed::Error::Io(error) => StoreError::Io("using the ledger's file".into(), error),
            heed::Error::Encoding(error) | heed::Error::Decoding(error) => StoreError::Damaged(error.to_string()),
            heed::Error::EnvAlreadyOpened => {
                StoreError::Locked { directory: PathBuf::new(), holder: std::process::id().to_string() }
            }
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Full(Space::Map) => f.write_str(
                "the ledger has reached its largest size; raise ledger.map_mib in the configuration and restart",
            ),
            StoreError::Full(Space::Disk) => {
                f.write_str("the disk that holds the ledger is full; free some space on it")
            }
            StoreError::Locked { directory, holder } => {
                write!(f, "another edgepool")?;
                if !holder.is_empty() {
                    write!(f, " (process {holder})")?;
                }
                write!(f, " is using the ledger {}; stop it, or give this one another data_dir", directory.display())
            }
            StoreError::Lost { directory } => write!(
                f,
                "the ledger's file data.mdb is gone from {}, where it was; mount or bring back what holds it, put a backup \
                 in its place with \"edgepool ledger restore BACKUP\", or remove lock.mdb there to begin a new ledger \
                 that owes nobody",
                directory.display()
            ),
            StoreError::OtherChains { pool, recorded, configured } => {
                write!(f, "the ledger of pool {pool} is of {recorded}, and the configuration says {configured}: ")?;
                let parent = |chains: &str| chains.split(", ").next().map(str::to_string);
                f.write_str(if parent(recorded) == parent(configured) {
                    "it knows a chain by its place; name them in \"merge\" in the order of the ledger, new ones at the \
                     end, and give one that is not to be mined any more \"mine\": false"
                } else {
                    "what is owed in one coin is not owed in another; give the new pool another name"
                })
            }
            StoreError::Schema { found, known } if found < known => {
                write!(f, "the ledger has the old format {found}; the next edgepool run converts it to format {known}")
            }
            StoreError::Schema { found, known } => write!(
                f,
                "the ledger has format {found}, and this edgepool knows format {known}; \
                 install the version that wrote it, or a newer one"
            ),
            StoreError::Foreign { bits } => write!(
                f,
                "the ledger was written on a {bits}-bit machine; write it out there with \"edgepool ledger export\" and \
                 read it in here with \"edgepool ledger import\""
            ),
            StoreError::Damaged(what) => write!(f, "the ledger is damaged: {what}"),
            StoreError::SetAside { what, kept } => {
                match what {
                    Some(what) => write!(f, "the ledger is damaged: {what}; it is kept as it is in {}", kept.display()),
                    None => write!(f, "there is no ledger, but one that was put aside in {}", kept.display()),
                }?;
                write!(
                    f,
                    ". Put a backup or an export in its place, with the blocks that the chain has had since (\"edgepool \
                     ledger rebuild --from BACKUP\") or without them (\"edgepool ledger restore BACKUP\"). Where there is \
                     neither, nobody can tell what it owed: only then move {} away, and the next start makes an empty \
                     ledger that owes nobody",
                    kept.display()
                )
            }
            StoreError::Missing(directory) => {
                write!(f, "there is no ledger in {}; check data_dir in the configuration", directory.display())
            }
            StoreError::Io(doing, error) => {
                write!(f, "{doing}: {error}; check the disk, and that data_dir belongs to edgepool's user")
            }
            StoreError::Lmdb(error) => write!(f, "the ledger's database refused: {error}; restart edgepool"),
        }
    }
}

impl std::error::Error for StoreError {}
