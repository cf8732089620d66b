//! Stratum version 1, as rigs really speak it: what a rig asks ([`parse`]) and what it is told (the
//! writers). One line is one message. Never judges a share and knows no session: extranonce sizes, jobs
//! and who is authorised are the pool's.

mod envelope;
mod id;
mod json;
mod line;
mod reply;
mod request;

pub use id::Id;
pub use line::Line;
pub use reply::{
    Granted, NotifyParts, configure_reply, notify, reconnect, reply_error, reply_result, reply_true, set_difficulty,
    set_extranonce, set_version_mask, show_message, subscribe_reply,
};
pub use request::{Configure, Extranonce2, Message, Refused, Request, Submit, parse};

/// Why a request was refused, as rigs know the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorCode {
    /// Anything that has no number of its own: malformed requests, unknown methods.
    Other,
    /// The job is unknown, or its tip is gone (stale).
    JobNotFound,
    /// The same share was accepted before.
    Duplicate,
    /// The hash does not meet the difficulty that the job was sent with.
    LowDifficulty,
    /// The username was not authorised on this connection, or can't be.
    Unauthorized,
    /// `mining.subscribe` has to come first.
    NotSubscribed,
}

impl ErrorCode {
    /// The number on the wire, in decimal.
    pub fn digits(self) -> &'static str {
        match self {
            ErrorCode::Other => "20",
            ErrorCode::JobNotFound => "21",
            ErrorCode::Duplicate => "22",
            ErrorCode::LowDifficulty => "23",
            ErrorCode::Unauthorized => "24",
            ErrorCode::NotSubscribed => "25",
        }
    }
}

/// A protocol that is not stratum, recognised by how it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// A TLS handshake; bfgminer's first try.
    Tls,
    /// HTTP: a browser, or a rig that wants getwork.
    Http,
}

/// Recognises a peer that will never speak stratum on this port, so that it can be told good-bye at once
/// instead of timing out. `None` also when there are too few bytes to say.
pub fn foreign_protocol(first_bytes: &[u8]) -> Option<Foreign> {
    const HTTP: [&[u8]; 7] = [b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ", b"CONNECT ", b"PRI * HTTP"];
    /// The type of the record that carries a ClientHello.
    const HANDSHAKE: u8 = 0x16;
    match first_bytes.first() {
        Some(&HANDSHAKE) => Some(Foreign::Tls),
        _ if HTTP.iter().any(|method| first_bytes.starts_with(method)) => Some(Foreign::Http),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_protocols_are_told_by_their_first_bytes() {
        let cases: [(&[u8], _); 7] = [
            (b"\x16\x03\x01\x02\x00", Some(Foreign::Tls)),
            (b"GET / HTTP/1.1\r\n", Some(Foreign::Http)),
            (b"POST / HTTP/1.1\r\n", Some(Foreign::Http)),
            (b"POS", None),
            (b"", None),
            (b"{\"id\":1,\"method\":\"mining.subscribe\"", None),
            (b" \r\n{", None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(foreign_protocol(bytes), expected, "{bytes:?}");
        }
    }
}
