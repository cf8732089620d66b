//! One rig of the benchmark: says what rigs say at the start, keeps the job that it was told, and sends shares
//! that it never mined. Reads lines by their shape: a parser of JSON would take the time that is to be measured.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;

use super::{Failure, io_failure};

/// Ids of shares have as many digits as this, all along.
const FIRST_SHARE: u64 = 1_000_000_000;
const SUBSCRIBE: &[u8] = b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"cgminer/4.12.1\"]}\n";

/// What a line of the pool was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A job that replaces all before it.
    NewWork,
    /// A share counts.
    Accepted,
    /// A share does not count.
    Refused,
    /// Anything else.
    Other,
}

/// See the module.
pub(super) struct Rig {
    socket: TcpStream,
    username: String,
    /// The beginning of a line whose end has not come.
    rest: Vec<u8>,
    /// What the system has not taken yet.
    out: Vec<u8>,
    has_begun: bool,
    /// Hexadecimal digits of the extranonce2.
    extranonce2: usize,
    /// A share for the current job; its id and nonce are put in at these places.
    share: Vec<u8>,
    nonce_at: usize,
    job_bytes: usize,
    sent: u64,
    answered: u64,
}

impl Rig {
    /// A rig whose connection was begun.
    pub(super) fn new(socket: TcpStream, username: String) -> Rig {
        Rig {
            socket,
            username,
            rest: Vec::new(),
            out: Vec::new(),
            has_begun: false,
            extranonce2: 0,
            share: Vec::new(),
            nonce_at: 0,
            job_bytes: 0,
            sent: 0,
            answered: 0,
        }
    }

    /// Shares that the pool has said nothing of yet.
    pub(super) fn unanswered(&self) -> usize {
        (self.sent - self.answered) as usize
    }

    /// Bytes of the line that told its job, with the line's end.
    pub(super) fn job_bytes(&self) -> usize {
        self.job_bytes
    }

    /// As [`Rig::queue_shares`], and sends them.
    pub(super) fn submit(&mut self, count: usize) -> Result<u64, Failure> {
        let queued = self.queue_shares(count);
        self.flush()?;
        Ok(queued)
    }

    /// Puts shares in line, no two the same, and says how many.
    pub(super) fn queue_shares(&mut self, count: usize) -> u64 {
        for _ in 0..count {
            let begin = self.out.len();
            self.out.extend_from_slice(&self.share);
            let line = &mut self.out[begin..];
            // Neither is ever longer than its place: 2^32 shares take a day.
            write!(&mut line[ID_AT..], "{}", FIRST_SHARE + self.sent).expect("an id has ten digits");
            write!(&mut line[self.nonce_at..], "{:08x}", self.sent as u32).expect("a nonce has eight digits");
            self.sent += 1;
        }
        count as u64
    }

    /// Sends what the system takes now.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        if !self.has_begun {
            // The first event says that it is connected.
            self.has_begun = true;
            self.out.extend_from_slice(SUBSCRIBE);
        }
        let mut taken = 0;
        while taken < self.out.len() {
            match self.socket.write(&self.out[taken..]) {
                Ok(count) => taken += count,
                Err(error) if is_not_now(&error) => break,
                Err(error) => return Err(self.lost(error)),
            }
        }
        self.out.drain(..taken);
        Ok(())
    }

    /// Reads all that is there, line by line.
    pub(super) fn read(&mut self, buffer: &mut [u8], mut each: impl FnMut(&mut Rig, Heard)) -> Result<(), Failure> {
        loop {
            let count = match self.socket.read(buffer) {
                Ok(0) => return Err(Failure(format!("the pool has closed the connection of {}", self.username))),
                Ok(count) => count,
                Err(error) if is_not_now(&error) => return Ok(()),
                Err(error) => return Err(self.lost(error)),
            };
            let mut bytes = &buffer[..count];
            while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
                let heard = if self.rest.is_empty() {
                    self.hear(&bytes[..end])?
                } else {
                    let mut line = std::mem::take(&mut self.rest);
                    line.extend_from_slice(&bytes[..end]);
                    self.hear(&line)?
                };
                bytes = &bytes[end + 1..];
                each(self, heard);
            }
            self.rest.extend_from_slice(bytes);
        }
    }

    fn hear(&mut self, line: &[u8]) -> Result<Heard, Failure> {
        let strange = || Failure(format!("the pool said what no rig expects: {}", String::from_utf8_lossy(line)));
        let text = std::str::from_utf8(line).map_err(|_| strange())?;
        if let Some(reply) = text.strip_prefix("{\"id\":") {
            let (id, rest) = reply.split_once(',').ok_or_else(strange)?;
            match id {
                "null" => return self.hear_notice(text).ok_or_else(strange),
                "1" => {
                    // The result's last item is the length of the extranonce2 in bytes.
                    let (_, length) = rest.split_once(']').and_then(|_| rest.rsplit_once("\",")).ok_or_else(strange)?;
                    let length = length.split(']').next().and_then(|length| length.parse::<usize>().ok());
                    self.extranonce2 = length.ok_or_else(strange)? * 2;
                    let username = &self.username;
                    let authorize =
                        format!("{{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"{username}\",\"x\"]}}\n");
                    self.out.extend_from_slice(authorize.as_bytes());
                }
                "2" if rest.starts_with("\"result\":true") => {}
                "2" => return Err(strange()),
                _ => {
                    self.answered += 1;
                    let is_accepted = rest.starts_with("\"result\":true");
                    return Ok(if is_accepted { Heard::Accepted } else { Heard::Refused });
                }
            }
        }
        Ok(Heard::Other)
    }

    fn hear_notice(&mut self, line: &str) -> Option<Heard> {
        let Some((_, params)) = line.split_once("\"method\":\"mining.notify\",\"params\":[\"") else {
            return Some(Heard::Other);
        };
        let (job, _) = params.split_once('"')?;
        let mut from_the_end = params.rsplit('"');
        let clean = from_the_end.next()?;
        let ntime = from_the_end.next()?;
        let (username, zeros) = (&self.username, self.extranonce2);
        let share = format!(
            "{{\"id\":{FIRST_SHARE},\"method\":\"mining.submit\",\
             \"params\":[\"{username}\",\"{job}\",\"{:0zeros$}\",\"{ntime}\",\"",
            0
        );
        self.nonce_at = share.len();
        self.job_bytes = line.len() + 1;
        self.share = format!("{share}00000000\"]}}\n").into_bytes();
        Some(if clean.contains("true") { Heard::NewWork } else { Heard::Other })
    }

    fn lost(&self, error: io::Error) -> Failure {
        io_failure(&format!("the connection of {}", self.username))(error)
    }
}

/// Where the id of a share begins.
const ID_AT: usize = "{\"id\":".len();

/// Whether the system has nothing, or no room, just now; also while a connection is only being made.
fn is_not_now(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::NotConnected)
}
