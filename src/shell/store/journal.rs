//! The journal of one pool in its database: entries in order, each chained to the one before, so that an altered,
//! missing, doubled or moved one is found when it is read. Never decides what is recorded.

use std::ops::{Bound, ControlFlow};

use heed::{CommitToken, OnCommit, PutFlags, RoTxn, RwTxn};

use super::StoreError;
use super::records::Named;
use super::seal;
use crate::base::Hash32;
use crate::pool::record::Entry;

/// Where a journal ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Head {
    /// Number of the last entry; 0 when there is none.
    pub seq: u64,
    /// Its link: sha256(link before ‖ number, big endian ‖ entry), where zeros are before the first.
    pub link: Hash32,
}

impl Head {
    /// Where the journal ends when this entry follows.
    pub fn followed_by(&self, entry: &Entry) -> Head {
        self.followed_by_bytes(&encoded(entry))
    }

    fn followed_by_bytes(&self, entry: &[u8]) -> Head {
        let seq = self.seq + 1;
        Head { seq, link: seal::link(&self.link, seq, entry) }
    }
}

fn encoded(entry: &Entry) -> Vec<u8> {
    postcard::to_allocvec(entry).expect("numbers, bytes and texts always encode")
}

/// The database of a journal.
pub(super) struct JournalDatabase<'e> {
    pub(super) named: Named<'e>,
}

impl JournalDatabase<'_> {
    /// Where the records on disk end.
    pub(super) fn head(&self, txn: &RoTxn) -> Result<Head, StoreError> {
        let Some((key, value)) = self.named.raw.last(txn)? else { return Ok(Head::default()) };
        let seq = u64::from_be_bytes(self.named.exact(key, key)?);
        Ok(Head { seq, link: self.split(key, value)?.0 })
    }

    /// Journal entries continue where the last one ended. One that is there already may come again, as after a
    /// commit whose outcome the disk left open, but never with other contents. Answers where the journal ends then.
    pub(super) fn append(&self, txn: &mut RwTxn, entries: &[(u64, Entry)]) -> Result<Head, StoreError> {
        let mut head = self.head(txn)?;
        for (seq, entry) in entries {
            let key = seq.to_be_bytes();
            let bytes = encoded(entry);
            if *seq == head.seq + 1 {
                head = head.followed_by_bytes(&bytes);
                // Keys only grow, which fills pages to the brim.
                self.named.raw.put_with_flags(txn, PutFlags::APPEND, &key, &[&head.link[..], &bytes].concat())?;
                continue;
            }
            match self.named.raw.get(txn, &key)? {
                Some(present) if self.split(&key, present)?.1 == bytes => {}
                Some(_) => return Err(self.named.damaged(&key, "is there with other contents")),
                None => return Err(self.named.damaged(&key, format!("can't be written, the last is {}", head.seq))),
            }
        }
        Ok(head)
    }

    /// Gives the entries from number `from` on, each with where the journal ended with it, until `each` breaks off; checks every link and, when it comes to
    /// the end, that this is where the journal ended when it was last written.
    pub(super) fn visit(
        &self,
        txn: &RoTxn,
        from: u64,
        end: Head,
        mut each: impl FnMut(Head, Entry) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let from = from.max(1);
        let mut last = match from - 1 {
            0 => Head::default(),
            seq if seq >= end.seq => return Ok(()),
            seq => {
                let key = seq.to_be_bytes();
                let value = self.named.raw.get(txn, &key)?.ok_or_else(|| self.named.damaged(&key, "is missing"))?;
                Head { seq, link: self.split(&key, value)?.0 }
            }
        };
        let start = from.to_be_bytes();
        for record in self.named.raw.range(txn, &(Bound::Included(&start[..]), Bound::Unbounded))? {
            let (key, value) = record?;
            let seq = u64::from_be_bytes(self.named.exact(key, key)?);
            if seq != last.seq + 1 {
                return Err(self.named.damaged(key, format!("comes where entry {} should be", last.seq + 1)));
            }
            let (link, bytes) = self.split(key, value)?;
            last = last.followed_by_bytes(bytes);
            if last.link != link {
                return Err(self.named.damaged(key, "does not follow from the one before: one of them was altered"));
            }
            let entry = match postcard::take_from_bytes(bytes) {
                Ok((entry, [])) => entry,
                Ok(_) => return Err(self.named.damaged(key, "has bytes after its end")),
                Err(error) => return Err(self.named.damaged(key, error)),
            };
            if each(last, entry).is_break() {
                return Ok(());
            }
        }
        if last != end {
            let key = end.seq.max(last.seq).to_be_bytes();
            return Err(self.named.damaged(&key, format!("should be the last one, number {}", end.seq)));
        }
        Ok(())
    }

    fn split<'v>(&self, key: &[u8], value: &'v [u8]) -> Result<(Hash32, &'v [u8]), StoreError> {
        let (link, entry) = value.split_first_chunk().ok_or_else(|| self.named.damaged(key, "is too short"))?;
        Ok((*link, entry))
    }
}

impl OnCommit for JournalDatabase<'_> {
    type Committed = JournalDatabase<'static>;

    fn on_commit(self, token: &CommitToken) -> JournalDatabase<'static> {
        JournalDatabase { named: self.named.on_commit(token) }
    }
}

impl<'e> From<Named<'e>> for JournalDatabase<'e> {
    fn from(named: Named<'e>) -> JournalDatabase<'e> {
        JournalDatabase { named }
    }
}
