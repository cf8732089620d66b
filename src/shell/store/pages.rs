//! Whether a closed LMDB file hangs together: every page of its trees is where it should be, is what it should be,
//! and is used once. LMDB trusts what it reads, so that a flipped bit, a hole or an unreadable sector would end the
//! process without a word; here it becomes a sentence. Never looks at the meaning of a record, never writes.
//!
//! The file as LMDB's data version 1 lays it out, in the machine's own word size and byte order: two head pages, of
//! which the one with the higher transaction number holds; from there a tree of free pages and a tree of named
//! databases, each of which is a tree.

mod layout;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::StoreError;
use super::error::io_error;
use layout::{HEADER, Head, Kind, Node, Page, Tree, Value, WORD, word};

/// No tree of a file that fits any address space is deeper.
const DEEPEST: u16 = 32;
/// Bytes of the file's beginning that hold the size of its pages.
const BEGINNING: usize = 512;

/// Bytes of a page of a new file. LMDB itself takes the system's, which is four times as large on some boards: each
/// commit would write four times as much.
const PAGE_SIZE: usize = 4_096;

/// A new file, before LMDB sees it.
pub(super) fn empty() -> Vec<u8> {
    layout::empty(PAGE_SIZE)
}

/// What the file is to be used for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Only its records matter.
    Read,
    /// Its free pages as well: what is listed by mistake would be written over.
    Write,
}

/// Reads every page that is in use.
pub(super) fn check(path: &Path, purpose: Use) -> Result<(), StoreError> {
    let file = File::open(path).map_err(io_error("opening", path))?;
    let len = file.metadata().map_err(io_error("reading", path))?.len();
    // No version makes one: it is what a power cut can leave of a file that was there.
    if len == 0 {
        return Err(damaged("it is empty".into()));
    }
    let mut pages = Pages { file, page_size: BEGINNING, last: 1, used: vec![false; 2] };
    let beginning = pages.read(0, 1)?;
    if let Some(bits) = layout::foreign_bits(&beginning) {
        return Err(StoreError::Foreign { bits });
    }
    pages.page_size = layout::page_size(&beginning).ok_or_else(|| damaged("its pages have no size".into()))?;
    let head = pages.head()?;
    pages.last = head.last_page;
    // Pages at the end that are free need not be in the file.
    pages.used = vec![false; (len / pages.page_size as u64).max(2) as usize];
    pages.walk(&head.databases, Role::Databases)?;
    match purpose {
        Use::Read => Ok(()),
        Use::Write => pages.walk(&head.free, Role::Free),
    }
}

fn damaged(what: String) -> StoreError {
    StoreError::Damaged(format!("the file does not hang together: {what}"))
}

fn page_damaged(number: u64, what: &str) -> StoreError {
    damaged(format!("page {number} {what}"))
}

/// What the records of a tree are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Lists of free pages, by transaction.
    Free,
    /// Trees.
    Databases,
    /// Anything.
    Records,
}

/// What a tree turned out to have.
#[derive(Default, PartialEq, Eq)]
struct Count {
    branches: u64,
    leaves: u64,
    overflow: u64,
    entries: u64,
}

/// The file while it is walked.
struct Pages {
    file: File,
    page_size: usize,
    /// Number of the last page that was ever used.
    last: u64,
    /// Whether a page was met, by number.
    used: Vec<bool>,
}

impl Pages {
    /// The head that holds. Both must be whole, and one follow the other.
    fn head(&self) -> Result<Head, StoreError> {
        let head = |number| {
            let head = layout::head(&self.read(number, 1)?);
            head.ok_or_else(|| page_damaged(number, "is not the head that it should be"))
        };
        let (even, odd) = (head(0)?, head(1)?);
        let in_turn = even.transaction.is_multiple_of(2)
            && !odd.transaction.is_multiple_of(2)
            && even.transaction.abs_diff(odd.transaction) == 1;
        // A file in which nothing was ever committed has two first heads.
        if !in_turn && (even.transaction, odd.transaction) != (0, 0) {
            let what = format!("its heads are of commits {} and {}", even.transaction, odd.transaction);
            return Err(damaged(what));
        }
        Ok(if odd.transaction > even.transaction { odd } else { even })
    }

    /// Walks a whole tree and compares what it has with what its owner says.
    fn walk(&mut self, tree: &Tree, role: Role) -> Result<(), StoreError> {
        let mut count = Count::default();
        if let Some(root) = tree.root {
            if !(1..=DEEPEST).contains(&tree.depth) {
                return Err(page_damaged(root, &format!("has a tree of {} levels", tree.depth)));
            }
            self.descend(root, tree.depth, role, &mut count)?;
        }
        let Tree { branches, leaves, overflow, entries, .. } = *tree;
        if count != (Count { branches, leaves, overflow, entries }) {
            return Err(page_damaged(tree.root.unwrap_or(0), "has a tree of another size than it says"));
        }
        Ok(())
    }

    fn descend(&mut self, number: u64, depth: u16, role: Role, count: &mut Count) -> Result<(), StoreError> {
        self.take(number, 1)?;
        let bytes = self.read(number, 1)?;
        let kind = if depth > 1 { Kind::Branch } else { Kind::Leaf };
        let page = Page::parse(&bytes, number, kind)
            .ok_or_else(|| page_damaged(number, "is not the page that it should be"))?;
        let mut before: Option<Vec<u8>> = None;
        for node in page.nodes() {
            let node = node.ok_or_else(|| page_damaged(number, "has a record that is not whole"))?;
            let key = sortable(node.key, role).ok_or_else(|| page_damaged(number, "has a wrong key"))?;
            // The first key of a branch is left out: everything smaller is below it.
            let is_left_out = kind == Kind::Branch && before.is_none();
            if !is_left_out && (key.is_empty() || before.is_some_and(|before| before >= key)) {
                return Err(page_damaged(number, "has records out of order"));
            }
            before = Some(if is_left_out { Vec::new() } else { key });
            match kind {
                Kind::Branch => self.descend(node.child(), depth - 1, role, count)?,
                Kind::Leaf => self.record(number, &node, role, count)?,
            }
        }
        match kind {
            Kind::Branch => count.branches += 1,
            Kind::Leaf => {
                count.leaves += 1;
                count.entries += page.len() as u64;
            }
        }
        Ok(())
    }

    fn record(&mut self, page: u64, node: &Node, role: Role, count: &mut Count) -> Result<(), StoreError> {
        let wrong = || page_damaged(page, "has a record of an unknown kind");
        match (node.value().ok_or_else(wrong)?, role) {
            (Value::Subtree(tree), Role::Databases) => self.walk(&tree, Role::Records),
            (Value::Subtree(_), _) | (_, Role::Databases) => Err(wrong()),
            (Value::Inline(value), Role::Free) => self.free(page, value),
            (Value::Inline(_), Role::Records) => Ok(()),
            (Value::Big(first, size), _) => {
                let beginning = self.read(first, 1)?;
                let pages = layout::overflow_pages(&beginning, first, size)
                    .ok_or_else(|| page_damaged(first, "is not the long record that it should be"))?;
                self.take(first, pages)?;
                count.overflow += pages;
                // Read also where only its being readable matters.
                let bytes = self.read(first, pages)?;
                match role {
                    Role::Free => self.free(first, &bytes[HEADER..HEADER + size]),
                    _ => Ok(()),
                }
            }
        }
    }

    /// Pages of a list of free ones: counted, and largest first.
    fn free(&mut self, page: u64, list: &[u8]) -> Result<(), StoreError> {
        let wrong = || page_damaged(page, "has a list of free pages that is not whole");
        let count = word(list, 0).ok_or_else(wrong)?;
        let mut before = u64::MAX;
        for index in 1..=count {
            let at = usize::try_from(index).ok().and_then(|index| index.checked_mul(WORD));
            let number = at.and_then(|at| word(list, at)).filter(|number| *number < before).ok_or_else(wrong)?;
            before = number;
            if number > self.last || number < self.used.len() as u64 {
                self.take(number, 1)?;
            }
        }
        Ok(())
    }

    /// Notes that pages are used, which they must not be already.
    fn take(&mut self, first: u64, count: u64) -> Result<(), StoreError> {
        for number in first..first.saturating_add(count) {
            if number < 2 || number > self.last {
                return Err(page_damaged(number, "is used and outside the file"));
            }
            match usize::try_from(number).ok().and_then(|index| self.used.get_mut(index)) {
                Some(used) if !*used => *used = true,
                Some(_) => return Err(page_damaged(number, "is used twice")),
                None => return Err(page_damaged(number, "is used, and the file ends before it")),
            }
        }
        Ok(())
    }

    fn read(&self, first: u64, count: u64) -> Result<Vec<u8>, StoreError> {
        let lies_in = first.checked_add(count).is_some_and(|end| end <= self.used.len() as u64);
        if !lies_in {
            return Err(page_damaged(first, "is used, and the file ends before it"));
        }
        let mut bytes = vec![0; self.page_size * count as usize];
        let read = self.file.read_exact_at(&mut bytes, first * self.page_size as u64);
        read.map_err(|error| page_damaged(first, &format!("can't be read: {error}")))?;
        Ok(bytes)
    }
}

/// A key as bytes that sort as its tree does; `None` when it can't be one.
fn sortable(key: &[u8], role: Role) -> Option<Vec<u8>> {
    match role {
        Role::Free if key.is_empty() => Some(Vec::new()),
        Role::Free if key.len() == WORD => Some(word(key, 0)?.to_be_bytes().to_vec()),
        Role::Free => None,
        Role::Databases | Role::Records => Some(key.to_vec()),
    }
}
