//! The file through which one run hands over to the next: written whole at a clean stop, read and removed before
//! anything is served. What it says is the pool's business; a run without it starts all the same.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::base::time::Now;
use crate::pool::Pool;
use crate::pool::handover::{Handover, decode, encode};

const NAME: &str = "handover";
const UNFINISHED: &str = "handover.new";
/// A larger file is not read, nor written, in bytes: a run without it loses rigs a few seconds, one that fills the
/// memory of a board loses more.
const LARGEST: usize = 128 << 20;

/// Leaves what the next run can carry on. `pools` have committed everything.
pub fn leave(data_dir: &Path, pools: &[Pool], now: Now) {
    let Some(handovers) = pools.iter().map(|pool| pool.handover(now)).collect::<Option<Vec<Handover>>>() else {
        log::warn!("rigs will begin anew after this stop: not everything could be written to the ledger");
        return;
    };
    let bytes = encode(&handovers);
    if bytes.len() > LARGEST {
        log::warn!("rigs will begin anew after this stop: the handover would take {} bytes", bytes.len());
        return;
    }
    if let Err(error) = write(data_dir, &bytes) {
        log::warn!("rigs will begin anew after this stop: {}: {error}", data_dir.join(NAME).display());
    }
}

/// Takes what the run before left, so that nobody can take it again, and has the pools carry it on.
pub fn carry_on(data_dir: &Path, pools: &mut [Pool], now: Now) {
    let handovers = match take(data_dir) {
        Ok(None) => return,
        Ok(Some(bytes)) => decode(&bytes).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let handovers = handovers.unwrap_or_else(|reason| {
        log::warn!("rigs begin anew: {}: {reason}", data_dir.join(NAME).display());
        Vec::new()
    });
    for handover in handovers {
        let name = handover.pool().to_string();
        let Some(pool) = pools.iter_mut().find(|pool| pool.spec().name == name) else { continue };
        if let Err(reason) = pool.take_over(handover, now) {
            log::warn!("{name}: rigs begin anew, what the run before left can't be carried on: {reason}");
        }
    }
}

fn write(data_dir: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = data_dir.join(UNFINISHED);
    remove(&unfinished)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, data_dir.join(NAME))?;
    sync(data_dir)
}

/// What is there, once it is sure not to be there any more.
fn take(data_dir: &Path) -> io::Result<Option<Vec<u8>>> {
    let path = data_dir.join(NAME);
    let file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    let read = file.take(LARGEST as u64 + 1).read_to_end(&mut bytes);
    remove(&path)?;
    sync(data_dir)?;
    read?;
    if bytes.len() > LARGEST {
        return Err(io::Error::other("it is too large"));
    }
    Ok(Some(bytes))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_was_left_is_taken_once_and_is_its_owners_alone() {
        let folder = std::env::temp_dir().join(format!("edgepool-handover-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(take(&folder).unwrap(), None);
        // What a run that was cut off left behind is no hindrance.
        fs::write(folder.join(UNFINISHED), "half").unwrap();
        write(&folder, b"first").unwrap();
        write(&folder, b"second").unwrap();
        assert_eq!(fs::metadata(folder.join(NAME)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(take(&folder).unwrap().as_deref(), Some(b"second".as_slice()));
        assert_eq!(take(&folder).unwrap(), None);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir_all(&folder).unwrap();
    }
}
