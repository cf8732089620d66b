//! `edgepool ledger export`: the whole ledger as JSON lines, one moment of it, also while the daemon runs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::TaskError;
use super::lines::{Block, CellLine, Clock, End, EntryLine, Header, Line, Miner, Sum};
use crate::shell::store::{SCHEMA, Snapshot, Store, StoreError};

/// Writes the ledger below `data_dir` to standard output. A reader that goes away is a failure: it has not got all.
pub fn to_stdout(data_dir: &Path) -> Result<String, TaskError> {
    let snapshot = Store::open_read_only(data_dir)?;
    let failed = |error| TaskError::Io("writing to standard output".into(), error);
    let mut out = BufWriter::new(io::stdout().lock());
    write(&snapshot, &mut out).map_err(|error| error.unwrap_or_io(failed))?;
    out.flush().map_err(failed)?;
    Ok(String::new())
}

/// Writes it to a new file, which has its name only when it is whole and on the disk.
pub fn to_file(data_dir: &Path, file: &Path) -> Result<String, TaskError> {
    if file.exists() {
        return Err(TaskError::Refused(format!("{} is there already; name another file", file.display())));
    }
    let snapshot = Store::open_read_only(data_dir)?;
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = Path::new(&unfinished);
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(unfinished)
        .map_err(TaskError::io("making", unfinished))
        .and_then(|open| write_file(&snapshot, open, unfinished));
    let lines = match written {
        Ok(lines) => lines,
        Err(error) => {
            // Half an export is of no use to anybody.
            let _ = fs::remove_file(unfinished);
            return Err(error);
        }
    };
    fs::rename(unfinished, file).map_err(TaskError::io("making", file))?;
    Ok(format!("{lines} lines in {}", file.display()))
}

fn write_file(snapshot: &Snapshot, file: File, path: &Path) -> Result<u64, TaskError> {
    let mut out = BufWriter::new(file);
    let lines = write(snapshot, &mut out).map_err(|error| error.unwrap_or_io(TaskError::io("writing", path)))?;
    let file = out.into_inner().map_err(|error| TaskError::io("writing", path)(error.into_error()))?;
    file.sync_all().map_err(TaskError::io("syncing", path))?;
    Ok(lines)
}

/// Which side failed.
enum WriteError {
    Ledger(TaskError),
    Out(io::Error),
}

impl WriteError {
    fn unwrap_or_io(self, io: impl FnOnce(io::Error) -> TaskError) -> TaskError {
        match self {
            WriteError::Ledger(error) => error,
            WriteError::Out(error) => io(error),
        }
    }
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> WriteError {
        WriteError::Ledger(error.into())
    }
}

/// Lines written so far, and where they go.
struct Lines<'o, W> {
    out: &'o mut W,
    count: u64,
    sum: Sum,
}

impl<W: Write> Lines<'_, W> {
    fn write(&mut self, line: &Line) -> Result<(), WriteError> {
        let text = serde_json::to_vec(line).map_err(|error| WriteError::Out(io::Error::other(error)))?;
        self.sum.take(&text);
        self.out.write_all(&text).and_then(|()| self.out.write_all(b"\n")).map_err(WriteError::Out)?;
        self.count += 1;
        Ok(())
    }
}

/// Writes everything that a snapshot holds; what is damaged and left out is told on stderr. Answers the count of lines.
fn write(snapshot: &Snapshot, out: &mut impl Write) -> Result<u64, WriteError> {
    let mut lines = Lines { out, count: 0, sum: Sum::new() };
    lines.write(&Line::Header(Header { schema: SCHEMA, pools: snapshot.pools().to_vec() }))?;
    for (index, pool) in snapshot.pools().iter().enumerate() {
        write_pool(snapshot, index, pool, &mut lines)?;
    }
    let end = End { lines: lines.count, sha256: lines.sum.text() };
    lines.write(&Line::End(end))?;
    Ok(lines.count)
}

fn write_pool(snapshot: &Snapshot, index: usize, pool: &str, lines: &mut Lines<impl Write>) -> Result<(), WriteError> {
    let recovered = snapshot.load(index)?;
    for what in snapshot.left_out(index)? {
        log::error!("{pool}: the ledger is damaged: {what}; it is left out");
    }
    let Some(mark) = &recovered.clock else { return Ok(()) };
    lines.write(&Line::Clock(Clock::new(pool, mark, snapshot.chains(index)?)))?;
    for (miner, script) in recovered.miners {
        lines.write(&Line::Miner(Miner { pool: pool.into(), miner, script }))?;
    }
    for (key, cell) in recovered.cells {
        lines.write(&Line::Cell(CellLine::new(pool, key, cell)))?;
    }
    let mut outcome = Ok(());
    snapshot.visit(index, 1, |head, entry| {
        let line = EntryLine { pool: pool.into(), seq: head.seq, link: head.link, entry };
        outcome = lines.write(&Line::Entry(Box::new(line)));
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    outcome?;
    for (hash, bytes) in recovered.blocks {
        lines.write(&Line::Block(Block { pool: pool.into(), hash, bytes }))?;
    }
    Ok(())
}
