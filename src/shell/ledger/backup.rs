//! `edgepool ledger backup` and `restore`: a compact copy of a ledger, also of one in use, and its way back. A copy is
//! read wholly before anybody relies on it, and nothing is ever overwritten.

use std::path::Path;

use super::{TaskError, import};
use crate::shell::store::{Aside, Place, SCHEMA, Snapshot, Store, StoreError, holds_ledger};

/// Copies the ledger below `data_dir` to `to`, which must not hold one.
pub fn run(data_dir: &Path, to: &Path) -> Result<String, TaskError> {
    if to.join("ledger").exists() {
        let what = format!("{} holds a ledger already; name another directory", to.display());
        return Err(TaskError::Refused(what));
    }
    let left_out = Store::open_read_only(data_dir)?.back_up(to)?;
    for what in &left_out {
        log::warn!("copied as it is: {what}");
    }
    Ok(format!("the ledger is copied to {}, read back and whole", to.display()))
}

/// Puts a backup or an exported file in place of the ledger below `data_dir`. What was there is kept, and
/// its payments are held only when what takes its place is read and copied.
pub fn restore(data_dir: &Path, map_mib: usize, from: &Path) -> Result<String, TaskError> {
    let place = Place::take(data_dir)?;
    let (held, kept, note) = if from.is_file() {
        let (draft, _) = import::read(&place, map_mib, from)?;
        (place.hold_payments()?, draft.install(Some(Aside::Replaced))?, None)
    } else {
        let directory = [from.join("ledger"), from.to_path_buf()].into_iter().find(|place| holds_ledger(place));
        let neither = || TaskError::Refused(format!("{} is neither a backup nor an export", from.display()));
        let directory = directory.ok_or_else(neither)?;
        let note = match Snapshot::open(&directory) {
            Err(StoreError::Schema { found, .. }) if found < SCHEMA => {
                Some(format!("; it has the old format {found}, which the next edgepool run converts"))
            }
            opened => opened?.check().map(|_| None)?,
        };
        place.make_copy(&directory)?;
        (place.hold_payments()?, place.install_copy()?, note)
    };
    let kept = kept.map(|kept| format!("; the one that was there is kept in {}", kept.display()));
    let notes = [note, kept].into_iter().flatten().collect::<String>();
    let advice = "blocks found since the copy was made are not in it: \"edgepool ledger rebuild --from\" reads them from the chain";
    Ok(format!(
        "{} is now the ledger in {}{notes}\n{advice}\n{}",
        from.display(),
        data_dir.display(),
        super::held(&held)
    ))
}
