//! The status port's connections: bytes to requests, the admin token, answers to bytes. What the answers say
//! is the face's.

use crate::base::limits::{HTTP_HEAD, RPC_IDLE_MS, RPC_REQUEST};
use crate::base::time::Now;
use crate::face::Site;
use crate::face::http::{self, Answer};
use crate::wire::http::{CONTINUE, HttpError, HttpRequest, RequestReader, response};
use crate::wire::stratum::{self, ErrorCode, Id};

use super::secrets::AdminToken;

/// One client of the status port.
pub struct Conversation {
    reader: RequestReader,
    heard_ms: u64,
}

/// What is sent back.
pub struct Reply {
    bytes: Vec<u8>,
    keep_alive: bool,
    /// Close the connection once it is sent.
    pub close: bool,
}

impl Reply {
    /// The bytes to send.
    pub fn bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Says instead that the change could not be written.
    pub fn replace_with_not_durable(&mut self, reason: &str) {
        self.bytes = http::not_durable(reason).to_bytes(self.keep_alive);
    }
}

/// What came over the connection.
pub type Incoming = Result<HttpRequest, HttpError>;

impl Conversation {
    /// A client that has just connected.
    pub fn new(now: Now) -> Conversation {
        Conversation { reader: RequestReader::new(HTTP_HEAD, RPC_REQUEST), heard_ms: now.mono_ms }
    }

    /// Takes in what was read.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        self.reader.push(bytes);
    }

    /// The next whole request, or what is wrong with it.
    pub fn next_request(&mut self, now: Now) -> Option<Incoming> {
        let request = self.reader.next();
        if request.is_some() {
            self.heard_ms = now.mono_ms;
        }
        request
    }

    /// What a client that waits before it sends its body is told.
    pub fn interim(&mut self) -> Option<&'static [u8]> {
        self.reader.take_continue().then_some(CONTINUE)
    }

    /// Whether there was no whole request for too long; a trickle of bytes does not count.
    pub fn is_idle(&self, now: Now) -> bool {
        self.silent_ms(now) > RPC_IDLE_MS
    }

    /// How long ago its last whole request came.
    pub fn silent_ms(&self, now: Now) -> u64 {
        now.mono_ms.saturating_sub(self.heard_ms)
    }
}

/// Answers one request.
pub fn answer(site: &mut Site, token: &AdminToken, incoming: Incoming) -> Reply {
    let request = match incoming {
        Ok(request) => request,
        Err(HttpError::Stratum) => {
            let reason = "This is the status port: stratum is on another one";
            let bytes = stratum::reply_error(&Id::NULL, ErrorCode::Other, reason).to_vec();
            return Reply { bytes, keep_alive: false, close: true };
        }
        Err(error) => {
            let bytes = response(error.status(), "text/plain", format!("{error}\n").as_bytes(), false, &[]);
            return Reply { bytes, keep_alive: false, close: true };
        }
    };
    let shown = request.authorization.as_deref().and_then(|value| value.strip_prefix("Bearer "));
    site.is_admin = shown.is_some_and(|shown| token.admits(shown.trim()));
    let answer: Answer = http::answer(site, &request);
    let mut bytes = answer.to_bytes(request.keep_alive);
    if request.method == "HEAD" {
        bytes.truncate(bytes.len() - answer.body.len());
    }
    Reply { bytes, keep_alive: request.keep_alive, close: !request.keep_alive }
}
