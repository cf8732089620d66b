//! `edgepool ledger import`: a ledger from JSON lines, where there is none. Every line is checked, the journal's chain
//! as well; what was exported and imported exports as the same bytes again.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::TaskError;
use super::lines::{Header, Line, Sum};
use crate::pool::record::Batch;
use crate::shell::store::{Draft, Head, Place, SCHEMA};

/// Miners and cells that are written at one time.
const CHUNK: usize = 4_096;
/// Entries and blocks that are: they are large.
const LARGE_CHUNK: usize = 64;

/// Makes the ledger below `data_dir` from a file.
pub fn run(data_dir: &Path, map_mib: usize, file: &Path) -> Result<String, TaskError> {
    let place = Place::take(data_dir)?;
    if place.holds_ledger() || place.newest_aside()?.is_some() {
        return Err(TaskError::Refused(format!(
            "{} has or had a ledger, and import wants an empty data_dir; \"edgepool ledger restore\" replaces one",
            data_dir.display()
        )));
    }
    let (draft, lines) = read(&place, map_mib, file)?;
    let held = place.hold_payments()?;
    draft.install(None)?;
    Ok(format!("{lines} lines are now the ledger in {}\n{}", data_dir.display(), super::held(&held)))
}

/// A ledger in the making with everything that is in a file, and the count of its lines.
pub(super) fn read<'p>(place: &'p Place, map_mib: usize, file: &Path) -> Result<(Draft<'p>, u64), TaskError> {
    let input = File::open(file).map_err(TaskError::io("opening", file))?;
    let mut lines = BufReader::new(input).split(b'\n');
    let mut sum = Sum::new();
    let mut reading = match next(&mut lines, &mut sum, file, 1)? {
        Some((Line::Header(header), _)) => Reading::begin(place, map_mib, header).map_err(at(file, 1))?,
        _ => return Err(at(file, 1)(TaskError::Refused("an exported ledger begins with its header".into()))),
    };
    while let Some((line, before)) = next(&mut lines, &mut sum, file, reading.lines + 1)? {
        let number = reading.lines + 1;
        reading.take(line, &before).map_err(at(file, number))?;
    }
    if !reading.ended {
        let cut = format!("{} ends before its end: it was cut short", file.display());
        return Err(TaskError::Refused(cut));
    }
    Ok((reading.draft, reading.lines))
}

/// The next line, with the sum of those before it.
fn next(
    lines: &mut impl Iterator<Item = io::Result<Vec<u8>>>,
    sum: &mut Sum,
    file: &Path,
    number: u64,
) -> Result<Option<(Line, Sum)>, TaskError> {
    let Some(line) = lines.next().transpose().map_err(TaskError::io("reading", file))? else { return Ok(None) };
    let before = sum.clone();
    sum.take(&line);
    let line = serde_json::from_slice(&line).map_err(|error| TaskError::Refused(error.to_string()));
    line.map(|line| Some((line, before))).map_err(at(file, number))
}

/// Says where a refused line is.
fn at(file: &Path, number: u64) -> impl FnOnce(TaskError) -> TaskError {
    move |error| match error {
        TaskError::Refused(what) => TaskError::Refused(format!("{}, line {number}: {what}", file.display())),
        other => other,
    }
}

/// An export while it is read.
struct Reading<'p> {
    draft: Draft<'p>,
    /// Every pool, by its place in the draft.
    pools: Vec<String>,
    /// The one whose lines come now; none before the first clock.
    current: Option<usize>,
    /// Where its journal ends so far.
    head: Head,
    batch: Batch,
    lines: u64,
    ended: bool,
}

impl<'p> Reading<'p> {
    fn begin(place: &'p Place, map_mib: usize, header: Header) -> Result<Reading<'p>, TaskError> {
        let Header { schema, pools } = header;
        if schema != SCHEMA {
            let what = format!("the export has format {schema}, and this edgepool knows format {SCHEMA}");
            return Err(TaskError::Refused(what));
        }
        let draft = Draft::begin(place, map_mib, &pools)?;
        Ok(Reading {
            draft,
            pools,
            current: None,
            head: Head::default(),
            batch: Batch::default(),
            lines: 1,
            ended: false,
        })
    }

    fn take(&mut self, line: Line, before: &Sum) -> Result<(), TaskError> {
        let refused = |what: &str| Err(TaskError::Refused(what.into()));
        if self.ended {
            return refused("there is more after the end");
        }
        match line {
            Line::Header(_) => return refused("a second header"),
            Line::Clock(clock) => {
                self.write()?;
                let following = self.current.map_or(0, |current| current + 1);
                let found = self.pools.iter().skip(following).position(|pool| *pool == clock.pool);
                let Some(found) = found else { return refused("its pool is not in the header, or out of order") };
                self.current = Some(following + found);
                self.head = Head::default();
                if let Some(chains) = &clock.chains {
                    self.draft.tie(following + found, chains)?;
                }
                self.batch.clock = clock.mark();
            }
            Line::Miner(line) => {
                self.expect(&line.pool)?;
                self.batch.miners.push((line.miner, line.script));
            }
            Line::Cell(line) => {
                self.expect(&line.pool)?;
                self.batch.cells.push(line.cell());
            }
            Line::Entry(line) => {
                self.expect(&line.pool)?;
                let head = self.head.followed_by(&line.entry);
                if head != (Head { seq: line.seq, link: line.link }) {
                    return refused("it does not follow from the entry before it: one of them was altered");
                }
                self.head = head;
                self.batch.journal.push((line.seq, line.entry));
            }
            Line::Block(line) => {
                self.expect(&line.pool)?;
                self.batch.blocks.push((line.hash, line.bytes.into()));
            }
            Line::End(end) if end.lines == self.lines && end.sha256 != before.text() => {
                return refused("a line before it was altered: they have another sum");
            }
            Line::End(end) if end.lines == self.lines => {
                self.write()?;
                self.ended = true;
            }
            Line::End(end) => return refused(&format!("{} lines should be before it", end.lines)),
        }
        self.lines += 1;
        let small = self.batch.miners.len() + self.batch.cells.len();
        let large = self.batch.journal.len() + self.batch.blocks.len();
        if small >= CHUNK || large >= LARGE_CHUNK {
            self.write()?;
        }
        Ok(())
    }

    fn expect(&self, pool: &str) -> Result<(), TaskError> {
        match self.current {
            Some(current) if self.pools[current] == pool => Ok(()),
            _ => Err(TaskError::Refused(format!("the clock of {pool} is not before it"))),
        }
    }

    /// Writes what was gathered of the current pool.
    fn write(&mut self) -> Result<(), TaskError> {
        let Some(current) = self.current else { return Ok(()) };
        let rest = Batch { clock: self.batch.clock, ..Batch::default() };
        Ok(self.draft.commit(current, &std::mem::replace(&mut self.batch, rest))?)
    }
}
