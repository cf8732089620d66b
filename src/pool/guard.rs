//! Who may connect: connections per address, and bans that expire. Counts and decides; it never closes anything and
//! knows nothing of shares but how they turned out.

mod bucket;
mod conduct;

use core::net::{IpAddr, Ipv6Addr};
use std::collections::BTreeMap;
use std::fmt;

use crate::base::time::{MINUTE, Now, SECOND};

use super::spec::GuardSpec;

pub use bucket::Bucket;
pub use conduct::{Conduct, Outcome};

/// Bans in force at one time; above it, the one that ends first gives way.
const MOST_BANS: usize = 4_096;
/// Addresses whose invalid shares are counted at one time; of more, each connection is still judged by itself.
const MOST_SUSPECTS: usize = 4_096;

/// Lines about single connections that the log takes in a second: it may be on a memory card.
const LOG_LINES_PER_S: u32 = 20;

/// Who is behind an IP address, as far as can be told: an IPv4 address, or an IPv6 network of 64 bits, of which every
/// host has the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin(IpAddr);

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Origin {
        Origin(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(f, "{address}"),
            IpAddr::V6(network) => write!(f, "{network}/64"),
        }
    }
}

/// Why a connection is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The pool has as many connections as it may.
    Full,
    /// The address has as many as one may.
    Crowded,
    /// The address sent nearly only invalid shares; the ban ends in so many seconds.
    Banned {
        /// What is left of it.
        seconds: u64,
    },
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Denied::Full => f.write_str("Pool is full: too many connections"),
            Denied::Crowded => f.write_str("Too many connections from your address"),
            Denied::Banned { seconds } => {
                write!(f, "Banned for {} min: invalid shares only", seconds.div_ceil(60))
            }
        }
    }
}

/// A ban in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// From where.
    pub origin: Origin,
    /// Only this username; everybody from there where there is none.
    pub username: Option<String>,
    /// Seconds until it ends.
    pub seconds: u64,
}

/// Connections that were turned away since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnedAway {
    /// The pool was full.
    pub full: u64,
    /// The address had as many as one may.
    pub crowded: u64,
    /// The address was banned.
    pub banned: u64,
    /// A username was refused; the connection may try another.
    pub unauthorized: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Guard {
    /// Open connections of each address that has one.
    open: BTreeMap<Origin, usize>,
    /// Addresses that sent invalid shares in this minute or the last.
    suspects: BTreeMap<Origin, Conduct>,
    /// When each ban ends, in monotonic milliseconds.
    bans: BTreeMap<(Origin, Option<String>), u64>,
    turned_away: TurnedAway,
    swept_minute: u64,
    log_lines: Bucket,
}

impl Guard {
    /// Counts a connection from `origin`, or tells why it may not be. A counted one must be
    /// [let go](Guard::release) once it is closed. Whether the pool has room is for the caller to know.
    pub fn admit(&mut self, origin: Origin, has_room: bool, spec: &GuardSpec, now: Now) -> Result<(), Denied> {
        let ends_at = self.bans.get(&(origin, None)).filter(|ends_at| **ends_at > now.mono_ms);
        if let Some(ends_at) = ends_at {
            self.turned_away.banned += 1;
            return Err(Denied::Banned { seconds: (ends_at - now.mono_ms).div_ceil(SECOND) });
        }
        if self.open.get(&origin).is_some_and(|open| *open >= spec.max_per_address) {
            self.turned_away.crowded += 1;
            return Err(Denied::Crowded);
        }
        if !has_room {
            self.turned_away.full += 1;
            return Err(Denied::Full);
        }
        *self.open.entry(origin).or_default() += 1;
        Ok(())
    }

    /// A connection that was admitted is closed.
    pub fn release(&mut self, origin: Origin) {
        if let Some(open) = self.open.get_mut(&origin) {
            *open -= 1;
            if *open == 0 {
                self.open.remove(&origin);
            }
        }
    }

    /// Counts how a submission from `origin` turned out. `is_honest`: it was credited on a connection that does not send
    /// nearly only what is refused; then nobody is banned for what the others behind the same address send.
    pub fn note(&mut self, origin: Origin, outcome: Outcome, is_honest: bool, now: Now) {
        match outcome {
            Outcome::Credited if is_honest => {
                // Hardly ever is anybody suspected: an honest share costs nothing here.
                if let Some(conduct) = self.suspects.get_mut(&origin) {
                    conduct.absolve(now);
                }
            }
            Outcome::Credited => {}
            Outcome::Late | Outcome::Invalid => {
                if let Some(conduct) = self.suspects.get_mut(&origin) {
                    conduct.note(outcome, now);
                } else if self.suspects.len() < MOST_SUSPECTS {
                    self.suspects.entry(origin).or_default().note(outcome, now);
                }
            }
        }
    }

    /// Whether `origin` as a whole sends nearly only what is refused.
    pub fn is_wasteful(&self, origin: Origin) -> bool {
        self.suspects.get(&origin).is_some_and(Conduct::is_wasteful)
    }

    /// Whether `origin` as a whole floods the pool, and nobody honest was seen there meanwhile.
    pub fn is_flood(&self, origin: Origin) -> bool {
        self.suspects.get(&origin).is_some_and(Conduct::is_flood)
    }

    /// Bans an address, or one username that it uses.
    pub fn ban(&mut self, origin: Origin, username: Option<String>, spec: &GuardSpec, now: Now) {
        if spec.ban_ms == 0 {
            return;
        }
        if self.bans.len() >= MOST_BANS
            && let Some(first) = self.bans.iter().min_by_key(|(_, ends_at)| **ends_at).map(|(who, _)| who.clone())
        {
            self.bans.remove(&first);
        }
        if username.is_none() {
            self.suspects.remove(&origin);
        }
        self.bans.insert((origin, username), now.mono_ms + spec.ban_ms);
    }

    /// Seconds that a username may not yet be used from `origin`.
    pub fn refused_for(&self, origin: Origin, username: &str, now: Now) -> Option<u64> {
        if self.bans.is_empty() {
            return None;
        }
        let ends_at = self.bans.get(&(origin, Some(username.to_string())))?;
        ends_at.checked_sub(now.mono_ms).filter(|left| *left > 0).map(|left| left.div_ceil(SECOND))
    }

    /// Lifts every ban, or those of one address; says how many.
    pub fn lift(&mut self, origin: Option<Origin>) -> usize {
        let before = self.bans.len();
        self.bans.retain(|(banned, _), _| origin.is_some_and(|origin| origin != *banned));
        before - self.bans.len()
    }

    /// The bans in force, by address.
    pub fn bans(&self, now: Now) -> impl Iterator<Item = Ban> {
        let in_force = self.bans.iter().filter(move |(_, ends_at)| **ends_at > now.mono_ms);
        in_force.map(move |((origin, username), ends_at)| Ban {
            origin: *origin,
            username: username.clone(),
            seconds: (ends_at - now.mono_ms).div_ceil(SECOND),
        })
    }

    /// Informative, until more is told than somebody reads; then for debugging only.
    pub fn log_level(&mut self, now: Now) -> log::Level {
        if self.log_lines.ready_at() > now.mono_ms {
            return log::Level::Debug;
        }
        self.log_lines.take(LOG_LINES_PER_S, now);
        log::Level::Info
    }

    /// Counts a username that was refused; gives how loudly it is told.
    pub fn refuse_username(&mut self, now: Now) -> log::Level {
        self.turned_away.unauthorized += 1;
        self.log_level(now)
    }

    /// Connections that were turned away since start.
    pub fn turned_away(&self) -> TurnedAway {
        self.turned_away
    }

    /// Forgets, once a minute, what is over.
    pub fn sweep(&mut self, now: Now) {
        let minute = now.mono_ms / MINUTE;
        if minute != self.swept_minute {
            self.swept_minute = minute;
            self.bans.retain(|_, ends_at| *ends_at > now.mono_ms);
            self.suspects.retain(|_, conduct| !conduct.is_over(now));
        }
    }
}

#[cfg(test)]
mod tests;
