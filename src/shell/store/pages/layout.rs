//! How LMDB's data version 1 lays out heads, trees, pages and records: bytes to values, or nothing where they can't
//! be what they should be. Never follows a reference.

/// Bytes of a word of this machine, which page numbers and sizes are.
pub(super) const WORD: usize = size_of::<usize>();
/// Bytes before the records of a page: number, pad, flags and two bounds.
pub(super) const HEADER: usize = WORD + 8;
/// Bytes of a tree's description.
const TREE: usize = 8 + 5 * WORD;
/// Where a head's content has its trees: after magic, version, address and size of the map.
const TREES: usize = HEADER + 8 + 2 * WORD;
const MAGIC: u32 = 0xbeef_c0de;
const VERSION: u32 = 1;
const NO_PAGE: u64 = usize::MAX as u64;
/// Flags of pages.
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const OVERFLOW: u16 = 4;
const META: u16 = 8;
/// Flags of trees: keys are words.
const WORD_KEYS: u16 = 8;
/// Flags of records: on pages of its own; a tree.
const BIG: u16 = 1;
const SUBTREE: u16 = 2;

/// One of the two heads of the file.
pub(super) struct Head {
    pub(super) transaction: u64,
    pub(super) last_page: u64,
    pub(super) free: Tree,
    pub(super) databases: Tree,
}

/// What the owner of a tree says of it.
#[derive(Clone, Copy)]
pub(super) struct Tree {
    pub(super) depth: u16,
    pub(super) branches: u64,
    pub(super) leaves: u64,
    pub(super) overflow: u64,
    pub(super) entries: u64,
    /// None while there is nothing in it.
    pub(super) root: Option<u64>,
}

/// What a page of a tree is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Branch,
    Leaf,
}

/// A page of a tree.
pub(super) struct Page<'b> {
    bytes: &'b [u8],
    /// Where its records begin.
    upper: usize,
    count: usize,
}

/// One record of a page.
pub(super) struct Node<'b> {
    pub(super) key: &'b [u8],
    size: u32,
    flags: u16,
    /// From the key's end to the page's.
    rest: &'b [u8],
}

/// What a record of a leaf holds.
pub(super) enum Value<'b> {
    Inline(&'b [u8]),
    /// So many bytes on pages of its own, from this one on.
    Big(u64, usize),
    Subtree(Tree),
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn int(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The word at this place.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(usize::from_ne_bytes(*bytes.get(at..)?.first_chunk()?) as u64)
}

/// An empty file with pages of this size: two heads of a ledger that nothing was committed to.
pub(super) fn empty(page_size: usize) -> Vec<u8> {
    let mut file = Vec::with_capacity(2 * page_size);
    for number in 0..2usize {
        let tree = |pad: u32, flags: u16| {
            let sizes = [0usize, 0, 0, 0, NO_PAGE as usize].map(usize::to_ne_bytes);
            [&pad.to_ne_bytes()[..], &flags.to_ne_bytes(), &0u16.to_ne_bytes(), &sizes.concat()].concat()
        };
        let head = [
            &number.to_ne_bytes()[..],
            &[0u16, META, 0, 0].map(u16::to_ne_bytes).concat(),
            &[MAGIC, VERSION].map(u32::to_ne_bytes).concat(),
            // No fixed address, and the map as large as whoever opens it says.
            &[0usize, 0].map(usize::to_ne_bytes).concat(),
            &tree(page_size as u32, WORD_KEYS),
            &tree(0, 0),
            // The last page, and the transaction.
            &[1usize, 0].map(usize::to_ne_bytes).concat(),
        ];
        file.extend(head.concat());
        file.resize((number + 1) * page_size, 0);
    }
    file
}

/// The size of pages, from the beginning of the first head.
pub(super) fn page_size(first: &[u8]) -> Option<usize> {
    let size = int(first, TREES)? as usize;
    (size.is_power_of_two() && (512..=32_768).contains(&size)).then_some(size)
}

/// The word size of the machine that wrote the file, from its beginning, when it is another than this one's.
pub(super) fn foreign_bits(first: &[u8]) -> Option<usize> {
    let word = 12 - WORD;
    (int(first, HEADER)? != MAGIC && int(first, word + 8)? == MAGIC).then_some(8 * word)
}

/// A head page.
pub(super) fn head(bytes: &[u8]) -> Option<Head> {
    let is_head = short(bytes, WORD + 2)? == META && int(bytes, HEADER)? == MAGIC && int(bytes, HEADER + 4)? == VERSION;
    let has_words = short(bytes, TREES + 4)? == WORD_KEYS && page_size(bytes)? == bytes.len();
    (is_head && has_words).then_some(())?;
    Some(Head {
        free: tree(bytes.get(TREES..)?)?,
        databases: named_tree(bytes.get(TREES + TREE..)?)?,
        last_page: word(bytes, TREES + 2 * TREE)?,
        transaction: word(bytes, TREES + 2 * TREE + WORD)?,
    })
}

fn tree(bytes: &[u8]) -> Option<Tree> {
    let at = |index: usize| word(bytes, 8 + index * WORD);
    Some(Tree {
        depth: short(bytes, 6)?,
        branches: at(0)?,
        leaves: at(1)?,
        overflow: at(2)?,
        entries: at(3)?,
        root: at(4).filter(|root| *root != NO_PAGE),
    })
}

/// A tree whose keys are bytes, each there once.
fn named_tree(bytes: &[u8]) -> Option<Tree> {
    (int(bytes, 0)? == 0 && short(bytes, 4)? == 0).then_some(())?;
    tree(bytes)
}

/// How many pages an overflow page with this beginning stands for; it must be number `number`, and have room.
pub(super) fn overflow_pages(bytes: &[u8], number: u64, size: usize) -> Option<u64> {
    let pages = int(bytes, WORD + 4)?;
    let is_it = word(bytes, 0)? == number && short(bytes, WORD + 2)? == OVERFLOW;
    (is_it && (HEADER + size).div_ceil(bytes.len()) <= pages as usize).then_some(pages.into())
}

impl<'b> Page<'b> {
    /// The page of this number and kind.
    pub(super) fn parse(bytes: &'b [u8], number: u64, kind: Kind) -> Option<Page<'b>> {
        let flag = match kind {
            Kind::Branch => BRANCH,
            Kind::Leaf => LEAF,
        };
        let (lower, upper) = (short(bytes, WORD + 4)? as usize, short(bytes, WORD + 6)? as usize);
        let is_it = word(bytes, 0)? == number && short(bytes, WORD + 2)? == flag;
        let is_whole = HEADER <= lower && lower.is_multiple_of(2) && lower <= upper && upper <= bytes.len();
        (is_it && is_whole).then(|| Page { bytes, upper, count: (lower - HEADER) / 2 })
    }

    /// How many records it has.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Its records in order; nothing in place of one that is not whole.
    pub(super) fn nodes(&self) -> impl Iterator<Item = Option<Node<'b>>> {
        (0..self.count).map(|index| {
            let at = short(self.bytes, HEADER + 2 * index)? as usize;
            let node = self.bytes.get(at..).filter(|_| at >= self.upper)?;
            let (low, high) = (short(node, 0)?, short(node, 2)?);
            let key_size = short(node, 6)? as usize;
            let (key, rest) = node.get(8..)?.split_at_checked(key_size)?;
            Some(Node { key, size: u32::from(low) | u32::from(high) << 16, flags: short(node, 4)?, rest })
        })
    }
}

impl<'b> Node<'b> {
    /// The page below, of a record in a branch.
    pub(super) fn child(&self) -> u64 {
        let top = if WORD > 4 { u64::from(self.flags) << 32 } else { 0 };
        u64::from(self.size) | top
    }

    /// The value, of a record in a leaf.
    pub(super) fn value(&self) -> Option<Value<'b>> {
        let size = self.size as usize;
        match self.flags {
            0 => Some(Value::Inline(self.rest.get(..size)?)),
            BIG => Some(Value::Big(word(self.rest, 0)?, size)),
            SUBTREE if size == TREE => Some(Value::Subtree(named_tree(self.rest.get(..size)?)?)),
            _ => None,
        }
    }
}
