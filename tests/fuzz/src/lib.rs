//! What is done with arbitrary bytes, one function for each reader of bytes from outside, and what must hold then
//! beside that nothing panics. Called by the fuzzer with what it makes up, and by the ordinary tests with the corpus.

mod address;
#[path = "../../pool_core/disk.rs"]
mod disk;
mod entry;
mod http;
mod jsonrpc;
mod line;
mod node;
mod pool;
mod stratum;
mod template;

pub use address::address;
pub use entry::entry;
pub use http::http;
pub use jsonrpc::jsonrpc;
pub use line::line;
pub use pool::pool;
pub use stratum::stratum;
pub use template::template;

/// `bytes` in pieces of lengths that `bytes` decide themselves.
fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(*rest.first()?) % 13 + 1;
        let (piece, after) = rest.split_at(length.min(rest.len()));
        rest = after;
        Some(piece)
    })
}
