//! Many rigs that mine at one pool, each over a connection of its own, and keep account of every share: one that is not
//! answered when the connection ends is sent again over the next one.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use edgepool::coin::difficulty::Difficulty;
use edgepool::shell::demo::work::{Found, Work};
use serde_json::{Value, json};

/// How long a rig waits for what must come.
const PATIENCE: Duration = Duration::from_secs(120);

/// What all rigs together have seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Connections that were made.
    pub connections: u64,
    /// Attempts to connect that were refused.
    pub connections_refused: u64,
    /// Sessions that were given.
    pub sessions: u64,
    /// Sessions that were carried on, with the same name and extranonce1.
    pub resumed: u64,
    /// Shares that were found.
    pub found: u64,
    /// Times that one was sent over another connection than it was found on.
    pub sent_later: u64,
    /// Shares that were answered `true`.
    pub accepted: u64,
    /// Shares that were answered otherwise.
    pub refused: u64,
    /// Shares that were never answered.
    pub lost: u64,
}

#[derive(Default)]
struct Counters {
    stopping: AtomicBool,
    connections: AtomicU64,
    connections_refused: AtomicU64,
    sessions: AtomicU64,
    resumed: AtomicU64,
    found: AtomicU64,
    sent_later: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
}

pub struct Crowd {
    counters: Arc<Counters>,
    rigs: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// Starts rigs that send a share at every `pace`.
    pub fn spawn(pool: SocketAddr, username: &str, rigs: usize, pace: Duration) -> Crowd {
        let counters = Arc::new(Counters::default());
        let rig = |number: usize| {
            let mut rig = Rig {
                pool,
                username: format!("{username}.{number}"),
                pace,
                counters: Arc::clone(&counters),
                session: None,
                pending: BTreeMap::new(),
                next_id: 10,
                extranonce2: 0,
            };
            thread::Builder::new().stack_size(256 << 10).spawn(move || rig.run()).unwrap()
        };
        let rigs = (0..rigs).map(rig).collect();
        Crowd { counters, rigs }
    }

    pub fn tally(&self) -> Tally {
        let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        let counters = &self.counters;
        Tally {
            connections: read(&counters.connections),
            connections_refused: read(&counters.connections_refused),
            sessions: read(&counters.sessions),
            resumed: read(&counters.resumed),
            found: read(&counters.found),
            sent_later: read(&counters.sent_later),
            accepted: read(&counters.accepted),
            refused: read(&counters.refused),
            lost: read(&counters.lost),
        }
    }

    /// Has every rig wait for its last answers and leave.
    pub fn finish(mut self) -> Tally {
        self.counters.stopping.store(true, Ordering::SeqCst);
        for rig in self.rigs.drain(..) {
            rig.join().expect("a rig ends in order");
        }
        self.tally()
    }
}

struct Rig {
    pool: SocketAddr,
    username: String,
    pace: Duration,
    counters: Arc<Counters>,
    /// The session's name and the extranonce1.
    session: Option<(String, Vec<u8>)>,
    /// Shares that were not answered, by the id that they were sent with last.
    pending: BTreeMap<u64, Found>,
    next_id: u64,
    extranonce2: u32,
}

/// One connection of a rig.
struct Line {
    stream: BufReader<TcpStream>,
    text: String,
    work: Option<Work>,
}

/// The connection is at its end.
struct Ended;

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::SeqCst);
}

/// The next share of a job.
fn find(work: &mut Work) -> Found {
    (0..).find_map(|_| work.search(1).pop()).expect("the search does not end")
}

impl Rig {
    fn run(&mut self) {
        loop {
            let stream = match TcpStream::connect_timeout(&self.pool, PATIENCE) {
                Ok(stream) => stream,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
                    count(&self.counters.connections_refused);
                    thread::sleep(Duration::from_millis(50));
                    continue;
                }
            };
            count(&self.counters.connections);
            stream.set_nodelay(true).unwrap();
            let mut line = Line { stream: BufReader::new(stream), text: String::new(), work: None };
            if let Ok(()) = self.work(&mut line) {
                self.counters.lost.fetch_add(self.pending.len() as u64, Ordering::SeqCst);
                return;
            }
            // Its chips go on while nobody is there to take what they find.
            if let Some(work) = &mut line.work {
                self.pending.insert(self.next_id, find(work));
                self.next_id += 1;
                count(&self.counters.found);
            }
        }
    }

    /// Works over one connection until that ends, or until the rig is to leave and has its answers.
    fn work(&mut self, line: &mut Line) -> Result<(), Ended> {
        let mut params = vec![json!("crowd/1")];
        params.extend(self.session.iter().map(|(name, _)| json!(name)));
        line.send(&json!({"id": 1, "method": "mining.subscribe", "params": params}))?;
        line.send(&json!({"id": 2, "method": "mining.authorize", "params": [self.username, "x"]}))?;
        let deadline = Instant::now() + PATIENCE;
        while line.work.is_none() {
            assert!(Instant::now() < deadline, "the pool gives no work");
            self.listen(line, Instant::now() + Duration::from_millis(100))?;
        }
        let unanswered = std::mem::take(&mut self.pending);
        for share in unanswered.into_values() {
            count(&self.counters.sent_later);
            self.submit(line, share)?;
        }
        // Each keeps its own time.
        let mut next = Instant::now() + self.pace.mul_f64(f64::from(self.extranonce2 * 7 % 10 + 1) / 10.0);
        let mut patience = None;
        loop {
            if self.counters.stopping.load(Ordering::SeqCst) {
                let deadline = *patience.get_or_insert(Instant::now() + PATIENCE);
                if self.pending.is_empty() || Instant::now() > deadline {
                    return Ok(());
                }
                self.listen(line, Instant::now() + Duration::from_millis(50))?;
                continue;
            }
            self.listen(line, next)?;
            next = Instant::now() + self.pace;
            let work = line.work.as_mut().expect("there was some");
            let share = find(work);
            count(&self.counters.found);
            self.submit(line, share)?;
        }
    }

    fn submit(&mut self, line: &mut Line, share: Found) -> Result<(), Ended> {
        let Found { job_id, extranonce2, ntime, nonce } = &share;
        let (extranonce2, ntime) = (hex::encode(extranonce2), format!("{ntime:08x}"));
        let params = json!([self.username, job_id, extranonce2, ntime, format!("{nonce:08x}")]);
        let request = json!({"id": self.next_id, "method": "mining.submit", "params": params});
        // Whether it arrives or not, it is sent again unless it is answered.
        self.pending.insert(self.next_id, share);
        self.next_id += 1;
        line.send(&request)
    }

    /// Takes what comes until then.
    fn listen(&mut self, line: &mut Line, until: Instant) -> Result<(), Ended> {
        while let Some(message) = line.receive(until)? {
            match (message["method"].as_str(), message["id"].as_u64()) {
                (Some("mining.notify"), _) => {
                    let (_, extranonce1) = self.session.as_ref().expect("work comes after the session");
                    self.extranonce2 += 1;
                    let extranonce2 = self.extranonce2.to_be_bytes();
                    let work = Work::parse(&message["params"], extranonce1, &extranonce2, Difficulty::MIN);
                    line.work = Some(work.expect("a job makes sense"));
                }
                (Some(_), _) => {}
                (None, Some(1)) => self.enter(&message["result"]),
                (None, Some(2)) => assert_eq!(message["result"], true, "{message}"),
                (None, Some(id)) => {
                    if self.pending.remove(&id).is_some() {
                        let is_accepted = message["result"] == true;
                        count(if is_accepted { &self.counters.accepted } else { &self.counters.refused });
                        if !is_accepted {
                            eprintln!("{} {message}", self.username);
                        }
                    }
                }
                (None, None) => eprintln!("{} {message}", self.username),
            }
        }
        Ok(())
    }

    fn enter(&mut self, result: &Value) {
        let text = |value: &Value| value.as_str().expect("a text").to_string();
        assert_eq!(result[2], size_of_val(&self.extranonce2));
        let entered = (text(&result[0][0][1]), hex::decode(text(&result[1])).unwrap());
        let is_known = self.session.as_ref() == Some(&entered);
        count(if is_known { &self.counters.resumed } else { &self.counters.sessions });
        self.session = Some(entered);
    }
}

impl Line {
    fn send(&mut self, request: &Value) -> Result<(), Ended> {
        self.stream.get_mut().write_all(format!("{request}\n").as_bytes()).map_err(|_| Ended)
    }

    /// The next message that comes until then.
    fn receive(&mut self, until: Instant) -> Result<Option<Value>, Ended> {
        let left = until.saturating_duration_since(Instant::now());
        self.stream.get_ref().set_read_timeout(Some(left.max(Duration::from_millis(1)))).unwrap();
        match self.stream.read_line(&mut self.text) {
            Ok(_) if self.text.ends_with('\n') => {
                let message = serde_json::from_str(&self.text).expect("the pool sends JSON");
                self.text.clear();
                Ok(Some(message))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
            Ok(_) | Err(_) => Err(Ended),
        }
    }
}
