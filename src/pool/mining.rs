//! The conversation with miners: what each stratum request does. The order of messages is the one that every
//! rig takes: nothing before the first reply; then subscribe, authorize, difficulty, job.

use core::net::SocketAddr;

use crate::base::limits::WORKERS_PER_SESSION;
use crate::base::slots::Key;
use crate::base::time::Now;
use crate::coin::difficulty::{Difficulty, Target};
use crate::coin::uint::U256;
use crate::wire::http;
use crate::wire::stratum::{self, Configure, ErrorCode, Foreign, Granted, Id, Line, Message, Refused, Request};

use super::firmware::CoinbaseClass;
use super::guard::Denied;
use super::password::PasswordOptions;
use super::session::{Authorised, Session};
use super::username::Username;
use super::{Output, Pool};

/// Lines that can't be read before the connection is closed.
const GARBAGE_LINES: u32 = 8;
/// The answer to `client.get_version`.
const VERSION: &str = concat!("edgepool/", env!("CARGO_PKG_VERSION"));

impl Pool {
    /// A miner has connected, by one of the pool's ports.
    pub fn handle_miner_connected(&mut self, peer: SocketAddr, port: usize, now: Now) -> Key {
        let extranonce1 = self.extranonces.take();
        self.sessions.insert(Session::new(peer, port, extranonce1, &self.spec.vardiff, now))
    }

    /// A miner has sent something; any part of a line, or many lines.
    pub fn handle_miner_bytes(&mut self, key: Key, bytes: &[u8], now: Now) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if !session.has_spoken && !bytes.is_empty() {
            session.has_spoken = true;
            if let Some(foreign) = stratum::foreign_protocol(bytes) {
                return self.show_the_way(key, foreign);
            }
        }
        // Lines are borrowed from the buffer while the pool is changed by them.
        let mut buffer = session.lines.take();
        let mut lines = buffer.feed(bytes);
        while let Some(line) = lines.next() {
            let Ok(line) = line else {
                self.send(key, stratum::reply_error(&Id::NULL, ErrorCode::Other, "Line too long"));
                return self.close(key, "sent a line that is too long");
            };
            // A head may come in pieces too small to be told by the first.
            if let Some(foreign) = stratum::foreign_protocol(line) {
                return self.show_the_way(key, foreign);
            }
            self.count_request(key, now);
            match stratum::parse(line) {
                Ok(Message { request: Request::Submit(_), .. }) if self.keep_early(key, line) => {}
                Ok(message) => self.handle_message(key, message, now),
                Err(refused) => self.handle_garbage(key, &refused),
            }
            if self.sessions.get(key).is_none() {
                return;
            }
        }
        if let Some(session) = self.sessions.get_mut(key) {
            session.lines = buffer;
        }
    }

    /// Keeps a share that came before its rig authorised itself, until it has: minerd sends what it found while it was
    /// away as soon as it is connected, and takes the first answer for that of its authorization.
    fn keep_early(&mut self, key: Key, line: &[u8]) -> bool {
        self.sessions.get_mut(key).is_some_and(|session| session.keep_early(line))
    }

    /// Handles the shares that waited for an authorization, which is answered now, whatever the answer.
    fn handle_early(&mut self, key: Key, now: Now) {
        let early = self.sessions.get_mut(key).map(Session::take_early).unwrap_or_default();
        for line in early {
            if let Ok(Message { id, request: Request::Submit(submit) }) = stratum::parse(&line) {
                self.handle_submit(key, id, &submit, now);
            }
        }
    }

    /// Says goodbye to who speaks another protocol than this port, in that one if it can be told what is wrong.
    fn show_the_way(&mut self, key: Key, foreign: Foreign) {
        if foreign == Foreign::Http {
            let body = b"This port speaks stratum to mining rigs; the status page is on the RPC port.\n";
            self.send(key, http::response(400, "text/plain", body, false, &[]).into());
        }
        self.close(key, "speaks another protocol");
    }

    /// A miner's connection is gone.
    pub fn handle_miner_closed(&mut self, key: Key) {
        self.forget_session(key);
    }

    pub(super) fn close(&mut self, key: Key, reason: &str) {
        self.forget_session(key);
        self.outputs.push_back(Output::CloseMiner { session: key, reason: reason.to_string() });
    }

    fn forget_session(&mut self, key: Key) {
        let Some(session) = self.sessions.remove(key) else { return };
        self.leave_session(&session);
        for authorised in session.authorised {
            authorised.row.into_iter().for_each(|row| self.window.release(row));
            self.miners.release(&authorised.identity);
            self.workers.disconnect(authorised.worker);
        }
    }

    fn handle_garbage(&mut self, key: Key, refused: &Refused) {
        self.send(key, stratum::reply_error(&refused.id, refused.code, &refused.reason));
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.garbage += 1;
        if session.garbage >= GARBAGE_LINES {
            self.close(key, "sent too many lines that can't be read");
        }
    }

    fn handle_message(&mut self, key: Key, message: Message<'_>, now: Now) {
        let Message { id, request } = message;
        let is_notice = id.is_null() && request.may_be_a_notice();
        let reply = match request {
            Request::Submit(submit) => return self.handle_submit(key, id, &submit, now),
            Request::Subscribe { agent, session } => {
                let agent = agent.unwrap_or_default();
                let Some(reply) = self.subscribe(key, &id, agent, session.as_deref(), now) else { return };
                reply
            }
            Request::Authorize { username, password } => {
                return self.authorize(key, &id, &username, &password, now);
            }
            Request::Configure(wanted) => {
                let Some(reply) = self.configure(key, &id, &wanted, now) else { return };
                reply
            }
            Request::SuggestDifficulty(wanted) => {
                self.suggest(key, Difficulty::from_f64(wanted), now);
                stratum::reply_true(&id)
            }
            Request::SuggestTarget(target) => {
                let algorithm = self.spec.chains[0].coin.algorithm;
                let target = Target::new(U256::from_le_bytes(&target));
                self.suggest(key, target.map(|target| Difficulty::of_target(target, algorithm)), now);
                stratum::reply_true(&id)
            }
            Request::ExtranonceSubscribe => {
                if let Some(session) = self.sessions.get_mut(key) {
                    session.takes_extranonce = true;
                }
                stratum::reply_true(&id)
            }
            Request::MultiVersion | Request::Capabilities => stratum::reply_true(&id),
            Request::Ping => stratum::reply_result(&id, &"pong"),
            Request::GetVersion => stratum::reply_result(&id, &VERSION),
            Request::Reply => return,
            // Whole blocks for every rig that asks would be megabytes each. bfgminer takes this for "not told", and
            // an empty list for a false one.
            Request::GetTransactions => stratum::reply_error(&id, ErrorCode::Other, "Transactions are not told"),
            Request::Unknown(method) => {
                let reason = format!("Unknown method {method}");
                stratum::reply_error(&id, ErrorCode::Other, &reason)
            }
        };
        if !is_notice {
            self.send(key, reply);
        }
        self.announce_mask(key);
        self.announce_difficulty(key, now);
    }

    /// Sends the negotiated mask once more as a message, after everything that a rig waits for and before its first
    /// job: btminer is said to stay idle without it.
    fn announce_mask(&mut self, key: Key) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.version_mask != 0 && !session.mask_told && session.is_mining() {
            session.mask_told = true;
            let mask = session.version_mask;
            self.send(key, stratum::set_version_mask(mask));
        }
    }

    fn subscribe(&mut self, key: Key, id: &Id, agent: String, named: Option<&str>, now: Now) -> Option<Line> {
        let session = self.sessions.get_mut(key)?;
        session.agent = agent.chars().filter(|c| !c.is_control()).take(64).collect();
        let of_port = self.spec.stratum.ports.get(session.port).and_then(|port| port.class);
        let class = of_port.unwrap_or_else(|| CoinbaseClass::of_agent(&session.agent));
        self.enter_session(key, named, class, now);
        let session = self.sessions.get_mut(key)?;
        session.choose_class(class);
        session.subscribed = true;
        let session_id = session.id?.to_string();
        let extranonce2_len = self.spec.stratum.extranonce2_len;
        Some(stratum::subscribe_reply(id, &session_id, &session.extranonce1, extranonce2_len))
    }

    fn configure(&mut self, key: Key, id: &Id, wanted: &Configure, now: Now) -> Option<Line> {
        let allowed = self.spec.chains[0].coin.version_rolling_mask;
        let session = self.sessions.get_mut(key)?;
        // Above the pool's largest difficulty it would not be kept.
        let minimum = wanted.minimum_difficulty.and_then(Difficulty::from_f64);
        let minimum = minimum.filter(|minimum| *minimum <= self.spec.vardiff.max);
        if let Some(minimum) = minimum {
            session.vardiff.suggest(minimum, true, &self.spec.vardiff, now.mono_ms);
        }
        let version_mask = wanted.version_rolling.map(|mask| mask & allowed).filter(|mask| *mask != 0);
        if let Some(mask) = version_mask {
            session.mask_told &= session.version_mask == mask;
            session.version_mask = mask;
        }
        session.takes_extranonce |= wanted.subscribe_extranonce;
        let granted = Granted { version_mask, minimum_difficulty: minimum.is_some(), subscribe_extranonce: true };
        Some(stratum::configure_reply(id, wanted, &granted))
    }

    fn suggest(&mut self, key: Key, wanted: Option<Difficulty>, now: Now) {
        if let (Some(session), Some(wanted)) = (self.sessions.get_mut(key), wanted) {
            session.vardiff.suggest(wanted, false, &self.spec.vardiff, now.mono_ms);
        }
    }

    fn authorize(&mut self, key: Key, id: &Id, username: &str, password: &str, now: Now) {
        let reply = match self.admit(key, username, now) {
            Ok(()) => {
                let options = PasswordOptions::parse(password);
                if let Some(session) = self.sessions.get_mut(key) {
                    if session.announced().is_none() {
                        let worker = session.authorised.last().and_then(|last| self.workers.get(last.worker));
                        let remembered = worker.and_then(|worker| worker.suited);
                        session.vardiff.start(remembered, &self.spec.vardiff, now.mono_ms);
                    }
                    if let Some(wanted) = options.difficulty {
                        session.vardiff.suggest(wanted, true, &self.spec.vardiff, now.mono_ms);
                    }
                    if let Some(bytes) = options.coinbase_bytes {
                        session.name_class(CoinbaseClass::within(bytes));
                    }
                }
                stratum::reply_true(id)
            }
            Err((code, reason)) => {
                if let Some(session) = self.sessions.get(key) {
                    let (level, peer) = (self.guard.refuse_username(now), session.peer);
                    log::log!(level, "{}: {peer} may not mine as {username:?}: {reason}", self.spec.name);
                }
                stratum::reply_error(id, code, &reason)
            }
        };
        self.send(key, reply);
        self.announce_mask(key);
        self.announce_difficulty(key, now);
        self.handle_early(key, now);
    }

    fn admit(&mut self, key: Key, username: &str, now: Now) -> Result<(), (ErrorCode, String)> {
        let Some(session) = self.sessions.get(key) else { return Ok(()) };
        if session.authorised(username).is_some() {
            return Ok(());
        }
        if session.authorised.len() >= WORKERS_PER_SESSION {
            return Err((ErrorCode::Other, format!("More than {WORKERS_PER_SESSION} workers on one connection")));
        }
        if let Some(seconds) = self.guard.refused_for(session.peer.ip().into(), username, now) {
            return Err((ErrorCode::Unauthorized, Denied::Banned { seconds }.to_string()));
        }
        let Username { identity, worker } = Username::parse(username, &self.spec.chains)
            .map_err(|error| (ErrorCode::Unauthorized, error.to_string()))?;
        self.window.make_room(&identity).map_err(|full| (ErrorCode::Other, full.to_string()))?;
        let miner = self.miners.reserve(&identity);
        let miner = miner.ok_or_else(|| (ErrorCode::Other, "No more addresses until a restart".to_string()))?;
        let peer = session.peer.to_string();
        log::log!(
            self.guard.log_level(now),
            "{}: {peer} mines for {} as {worker:?} ({})",
            self.spec.name,
            self.addresses_text(&identity),
            session.agent
        );
        let worker = self.workers.connect(miner, &worker, &session.agent, &peer, now.mono_ms);
        if let Some(session) = self.sessions.get_mut(key) {
            session.authorised.push(Authorised { username: username.to_string(), miner, identity, row: None, worker });
        }
        Ok(())
    }
}
