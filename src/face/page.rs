//! `GET /`: the status page. One self-contained document that asks the RPC port itself, so that it works
//! from a board without any other file, and shows what a phone beside the rigs needs to show.

/// The page. The same for every pool; it asks `getinfo`, `getpayoutinfo` and `getblocks`.
pub const HTML: &str = include_str!("page.html");
