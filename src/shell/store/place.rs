//! The ledger's directory: its lock, and how one file takes another's place so that at every moment the directory
//! holds either the old one, the new one, or a clear sign that none may be made. Never looks into a file.
//!
//! | path below `data_dir` | is |
//! |---|---|
//! | `ledger/data.mdb`, `ledger/lock.mdb` | the ledger, and LMDB's table of readers |
//! | `ledger/edgepool.lock` | held by whoever writes |
//! | `ledger/making/` | a ledger in the making; removed at the next start |
//! | `ledger.damaged-N/`, `ledger.replaced-N/`, `ledger.schema1/` | ledgers that were put aside |

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::StoreError;
use super::error::io_error;
use super::pages::{self, Use};

/// How often, and how long apart, a lock that another process holds is tried again.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// LMDB's names.
pub(super) const DATA: &str = "data.mdb";
const READERS: &str = "lock.mdb";
const LOCK: &str = "edgepool.lock";
const UNFINISHED: &str = "data.mdb.unfinished";
/// While it is there no payment is built.
const HELD: &str = "payments.held";
const HELD_WORDS: &str = r#"This ledger was put back from a copy, which does not know what was paid from a wallet since. While this file is here
edgepool builds no payment from a wallet; coinbases pay as ever.

"edgepool ledger verify --node" names what a wallet paid to miners and this ledger does not know. By hand: whatever is in
the wallet's listtransactions and not in "edgepool call getpayments", of each pool and chain that pays from a wallet.

If there is nothing, remove this file, and restart edgepool.

What there is, this ledger still owes, and there is no command that books it. It is paid a second time: by the wallet once
this file is gone, and by coinbases also while it is here, to whoever is owed min_payout or more. A newer copy of the ledger
that knows the payment mends that ("edgepool ledger restore BACKUP").

Where there is none, leave this file here, and settle with these miners yourself. A higher minimum payout only delays what
coinbases pay: what a miner earns is added to what he is owed, and once both come to AMOUNT he is paid both, the old sum
too. It holds for everybody who mines that chain:
    edgepool call setminpayout AMOUNT
    edgepool call setminpayout '{"amount": "AMOUNT", "pool": "POOL", "chain": "CHAIN"}'    where there are several
"#;
const MAKING: &str = "making";

/// Why a ledger is put aside; the name of its directory says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aside {
    /// It can't be read.
    Damaged,
    /// Another one takes its place.
    Replaced,
}

impl Aside {
    fn name(self) -> &'static str {
        match self {
            Aside::Damaged => "ledger.damaged-",
            Aside::Replaced => "ledger.replaced-",
        }
    }
}

/// The ledger's directory, locked until this is dropped.
pub struct Place {
    data_dir: PathBuf,
    directory: PathBuf,
    _lock: File,
}

/// Where the ledger is below `data_dir`.
pub(super) fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join("ledger")
}

/// The file that holds payments while it is there.
pub fn held_payments(data_dir: &Path) -> PathBuf {
    directory(data_dir).join(HELD)
}

/// Whether `directory` holds a ledger, whatever state it is in: also one that can't be read, or a link to nowhere. Only
/// where there is certainly none may a new one be made.
pub fn holds_ledger(directory: &Path) -> bool {
    is_there(&directory.join(DATA))
}

fn is_there(path: &Path) -> bool {
    !fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

impl Place {
    /// Makes the directory where it is missing (mode 0700), locks it, and clears away what was never finished.
    pub fn take(data_dir: &Path) -> Result<Place, StoreError> {
        let directory = directory(data_dir);
        let is_new = !directory.exists();
        make(&directory)?;
        if is_new {
            hand_over(&directory, data_dir)?;
        }
        let place = Place { _lock: lock(&directory)?, data_dir: data_dir.into(), directory };
        place.clear_making()?;
        Ok(place)
    }

    /// The ledger's directory.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether a ledger is there.
    pub fn holds_ledger(&self) -> bool {
        holds_ledger(&self.directory)
    }

    /// Whether the file hangs together, so that it can be written to. None does.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.holds_ledger() { pages::check(&self.directory.join(DATA), Use::Write) } else { Ok(()) }
    }

    /// Whether LMDB's table of readers is there, and the ledger that it belongs to is not: somebody took it away.
    pub(super) fn has_lost_ledger(&self) -> bool {
        !self.holds_ledger() && is_there(&self.directory.join(READERS))
    }

    /// Keeps payments from being built until the operator removes the file, whose path this answers: a ledger that was
    /// put back does not know what was paid since.
    pub fn hold_payments(&self) -> Result<PathBuf, StoreError> {
        let held = held_payments(&self.data_dir);
        fs::write(&held, HELD_WORDS).map_err(io_error("making", &held))?;
        keep_private(&held)?;
        hand_over(&held, &self.directory)?;
        sync(&held)?;
        sync(&self.directory)?;
        Ok(held)
    }

    /// The newest ledger that was put aside because it was damaged or replaced.
    pub fn newest_aside(&self) -> Result<Option<PathBuf>, StoreError> {
        newest_aside(&self.data_dir)
    }

    /// An empty directory for a ledger that is to be [installed](Place::install).
    pub(super) fn making(&self) -> Result<PathBuf, StoreError> {
        self.clear_making()?;
        let making = self.directory.join(MAKING);
        make(&making)?;
        Ok(making)
    }

    /// Makes what was made in [`Place::making`], and is closed, the ledger: at once and for good, or not at all.
    /// Whatever was the ledger stays beside it where `aside` says so.
    pub(super) fn install(&self, aside: Option<Aside>) -> Result<Option<PathBuf>, StoreError> {
        let (making, data) = (self.directory.join(MAKING), self.directory.join(DATA));
        keep_private(&making.join(DATA))?;
        hand_over(&making.join(DATA), &self.directory)?;
        sync(&making.join(DATA))?;
        let kept = match aside {
            Some(why) if self.holds_ledger() => {
                let kept = self.new_aside(why)?;
                let copy = kept.join(DATA);
                // File systems without links leave no ledger for a moment, but a sign that there was one.
                fs::hard_link(&data, &copy).or_else(|_| fs::rename(&data, &copy)).map_err(io_error("making", &copy))?;
                sync(&kept)?;
                sync(&self.data_dir)?;
                Some(kept)
            }
            _ => None,
        };
        forget_readers(&self.directory)?;
        rename(&making.join(DATA), &data)?;
        self.sync()?;
        self.clear_making()?;
        Ok(kept)
    }

    /// Moves the ledger out of use, untouched, and answers where it is.
    pub(super) fn set_aside(&self, why: Aside) -> Result<PathBuf, StoreError> {
        let kept = self.new_aside(why)?;
        // The empty directory forbids a new ledger already; so it has to be there first.
        sync(&self.data_dir)?;
        rename(&self.directory.join(DATA), &kept.join(DATA))?;
        forget_readers(&self.directory)?;
        sync(&kept)?;
        self.sync()?;
        Ok(kept)
    }

    /// A copy of the ledger's file in a directory of this name below `data_dir`, written by `fill`; it has its name
    /// only when it is whole. The same copy is not kept twice; another one gets a number.
    pub(super) fn keep_copy(
        &self,
        name: &str,
        fill: impl FnOnce(&Path) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let unfinished = self.data_dir.join(format!("{name}.unfinished"));
        remove(&unfinished)?;
        make(&unfinished)?;
        let copy = unfinished.join(DATA);
        fill(&copy)?;
        sync(&copy)?;
        sync(&unfinished)?;
        let mut kept = self.data_dir.join(name);
        for number in 2.. {
            if !kept.exists() {
                break;
            }
            if is_same(&copy, &kept.join(DATA)).unwrap_or(false) {
                return remove(&unfinished);
            }
            kept = self.data_dir.join(format!("{name}-{number}"));
        }
        rename(&unfinished, &kept)?;
        sync(&self.data_dir)
    }

    /// A commit is durable only if the name of its file is, and LMDB doesn't see to that.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        sync(&self.directory)?;
        sync(&self.data_dir)
    }

    fn clear_making(&self) -> Result<(), StoreError> {
        remove(&self.directory.join(MAKING))
    }

    fn new_aside(&self, why: Aside) -> Result<PathBuf, StoreError> {
        let number = asides(&self.data_dir, why)?.last().map_or(1, |last| last + 1);
        let kept = aside(&self.data_dir, why, number);
        make(&kept)?;
        hand_over(&kept, &self.directory)?;
        Ok(kept)
    }
}

/// As [`Place::newest_aside`], without the lock: for those that only read.
pub(super) fn newest_aside(data_dir: &Path) -> Result<Option<PathBuf>, StoreError> {
    for why in [Aside::Damaged, Aside::Replaced] {
        if let Some(number) = asides(data_dir, why)?.last() {
            return Ok(Some(aside(data_dir, why, *number)));
        }
    }
    Ok(None)
}

fn aside(data_dir: &Path, why: Aside, number: u32) -> PathBuf {
    data_dir.join(format!("{}{number}", why.name()))
}

/// Numbers in use, in order; none in a directory that is not there.
fn asides(data_dir: &Path, why: Aside) -> Result<Vec<u32>, StoreError> {
    let failed = || io_error("reading", data_dir);
    let entries = match fs::read_dir(data_dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed())?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed())?.file_name();
        let name = name.to_string_lossy();
        numbers.extend(name.strip_prefix(why.name()).and_then(|number| number.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Makes a directory and those above it, for this user alone.
pub(super) fn make(directory: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io_error("making", directory))
}

/// Makes an empty file for LMDB where there is none, whole or not at all.
pub(super) fn make_empty(directory: &Path) -> Result<(), StoreError> {
    let (data, unfinished) = (directory.join(DATA), directory.join(UNFINISHED));
    if is_there(&data) {
        return Ok(());
    }
    let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished);
    let written = written.and_then(|mut file| file.write_all(&pages::empty()).and_then(|()| file.sync_all()));
    written.map_err(io_error("making", &unfinished))?;
    rename(&unfinished, &data)
}

/// Takes a file from all but its owner (mode 0600), as LMDB makes its own: a copy has what the system gives new files.
pub(super) fn keep_private(path: &Path) -> Result<(), StoreError> {
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(io_error("making", path))
}

/// Gives a file to the owner of the ledger's directory: when root looks after the ledger, the daemon's user must be
/// able to go on.
fn hand_over(path: &Path, directory: &Path) -> Result<(), StoreError> {
    let owner = |path: &Path| fs::metadata(path).map(|of| (of.uid(), of.gid())).map_err(io_error("reading", path));
    let (has, should) = (owner(path)?, owner(directory)?);
    if has.0 == should.0 {
        return Ok(());
    }
    match chown(path, Some(should.0), Some(should.1)) {
        // Only root can give files away, and nobody else needs to.
        Err(error) if error.kind() != ErrorKind::PermissionDenied => Err(io_error("handing over", path)(error)),
        _ => Ok(()),
    }
}

/// As [`Place`] does it with its files, with LMDB's table of readers.
pub(super) fn hand_over_readers(directory: &Path) -> Result<(), StoreError> {
    let readers = directory.join(READERS);
    if readers.exists() { hand_over(&readers, directory) } else { Ok(()) }
}

/// Waits until a file, or what a directory says of its files, is on the disk.
pub(super) fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(io_error("syncing", path))
}

/// LMDB's table of readers belongs to one file; it is made anew for another.
pub(super) fn forget_readers(directory: &Path) -> Result<(), StoreError> {
    let readers = directory.join(READERS);
    match fs::remove_file(&readers) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error("removing", &readers)(error)),
        _ => Ok(()),
    }
}

/// Gives a file or directory another name, in the place of a file that has it.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(io_error("making", to))
}

fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (BufReader::new(File::open(one)?), BufReader::new(File::open(other)?));
    loop {
        let (here, there) = (one.fill_buf()?, other.fill_buf()?);
        let len = here.len().min(there.len());
        if here[..len] != there[..len] || here.is_empty() != there.is_empty() {
            return Ok(false);
        }
        if len == 0 {
            return Ok(true);
        }
        one.consume(len);
        other.consume(len);
    }
}

/// Removes a directory with all that is in it, where there is one.
pub(super) fn remove(directory: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error("removing", directory)(error)),
        _ => Ok(()),
    }
}

/// Whether the records of the file hang together, unless somebody holds the lock of the directory: a file that is written to can't be looked at
/// page by page.
pub(super) fn check_unless_in_use(directory: &Path) -> Result<(), StoreError> {
    let lock = File::open(directory.join(LOCK));
    match lock.as_ref().map(File::try_lock) {
        Ok(Err(TryLockError::WouldBlock)) => Ok(()),
        // Where there is no lock nobody ever wrote; it may be a backup on a disk that can't be written.
        _ => pages::check(&directory.join(DATA), Use::Read),
    }
}

/// Takes the exclusive lock of the directory, which ends with the process however that ends.
fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join(LOCK);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(io_error("locking", &path))?;
    match try_lock(&file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Only the lock counts; a holder that can't be read is not named.
            let _ = file.read_to_string(&mut holder);
            return Err(StoreError::Locked { directory: directory.into(), holder: holder.trim().into() });
        }
        Err(TryLockError::Error(error)) => return Err(io_error("locking", &path)(error)),
    }
    hand_over(&path, directory)?;
    // On a full disk the process id stays out; the lock holds all the same.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

/// Tries for a moment: a process that is just ending, or that was forked and has yet to become another program,
/// may still hold the lock.
fn try_lock(file: &File) -> Result<(), TryLockError> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            outcome => return outcome,
        }
    }
    file.try_lock()
}
