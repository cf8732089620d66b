//! Headers and whole blocks as they are hashed and submitted. Never checks a block: the node does.

use super::{
    encode::{varint_len, write_varint},
    pow::sha256d,
    template::TemplateTx,
};
use crate::base::Hash32;

/// Bytes of a header.
pub const HEADER: usize = 80;

/// Serialises a header; hashes are in internal order.
pub fn header(version: u32, prev: &Hash32, root: &Hash32, ntime: u32, bits: u32, nonce: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&version.to_le_bytes());
    header[4..36].copy_from_slice(prev);
    header[36..68].copy_from_slice(root);
    header[68..72].copy_from_slice(&ntime.to_le_bytes());
    header[72..76].copy_from_slice(&bits.to_le_bytes());
    header[76..].copy_from_slice(&nonce.to_le_bytes());
    header
}

/// The name of a block: sha256d of its header, for every coin here whatever its proof of work.
pub fn block_id(header: &[u8; HEADER]) -> Hash32 {
    sha256d(header)
}

/// The block to submit: header, count, coinbase, transactions, and the extension block after a 1 where there is one.
pub fn assemble(header: &[u8; HEADER], coinbase: &[u8], transactions: &[TemplateTx], mweb: Option<&[u8]>) -> Vec<u8> {
    assemble_merged(header, &[], coinbase, transactions, mweb)
}

/// The same for a block of a merge-mined coin, with the proof of its parent's work after the header.
pub fn assemble_merged(
    header: &[u8; HEADER],
    auxpow: &[u8],
    coinbase: &[u8],
    transactions: &[TemplateTx],
    mweb: Option<&[u8]>,
) -> Vec<u8> {
    let count = transactions.len() as u64 + 1;
    let data: usize = transactions.iter().map(|transaction| transaction.data.len()).sum();
    let extension = mweb.map_or(0, |mweb| 1 + mweb.len());
    let parts = HEADER + auxpow.len() + varint_len(count) + coinbase.len();
    let mut block = Vec::with_capacity(parts + data + extension);
    block.extend_from_slice(header);
    block.extend_from_slice(auxpow);
    write_varint(&mut block, count);
    block.extend_from_slice(coinbase);
    for transaction in transactions {
        block.extend_from_slice(&transaction.data);
    }
    if let Some(mweb) = mweb {
        block.push(1);
        block.extend_from_slice(mweb);
    }
    block
}

/// The previous block's id as stratum's notify carries it: each of its eight 4-byte words reversed.
pub fn stratum_prev_hash(prev: &Hash32) -> String {
    let mut swapped = *prev;
    for word in swapped.chunks_exact_mut(4) {
        word.reverse();
    }
    hex::encode(swapped)
}
