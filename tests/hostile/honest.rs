//! Honest rigs, all in one thread: each mines a share now and then, and asks for a pong with it.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use edgepool::base::rng::Rng;
use edgepool::coin::difficulty::Difficulty;
use edgepool::shell::demo::work::Work;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde_json::{Value, json};

use crate::place::address_of;

const SUBSCRIBE: u64 = 1;
const AUTHORIZE: u64 = 2;
/// From here on ids of shares are even, and of pings odd.
const FIRST: u64 = 4;
/// Nobody waits longer for the pool to let everybody in, or for the last answers.
const PATIENCE: Duration = Duration::from_secs(120);
/// Hashes that a rig makes before the others have their turn.
const HASHES: u64 = 8;

/// How long answers took, the quickest first.
#[derive(Default)]
pub struct Latencies {
    pub shares: Vec<Duration>,
    pub pings: Vec<Duration>,
}

/// What became of everything that was sent.
#[derive(Default)]
pub struct Done {
    pub submitted: u64,
    pub accepted: u64,
    pub refused: u64,
    pub closed: u64,
    pub complaints: Vec<String>,
}

#[derive(Default)]
struct Shared {
    at_work: usize,
    stopping: bool,
    latencies: Latencies,
    done: Done,
}

pub struct Crowd {
    shared: Arc<Mutex<Shared>>,
    thread: JoinHandle<()>,
}

impl Crowd {
    /// So many rigs at work.
    pub fn start(pool: SocketAddr, count: usize, interval: Duration) -> Crowd {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let thread = thread::spawn({
            let shared = shared.clone();
            move || run(pool, count, interval, &shared)
        });
        let deadline = Instant::now() + PATIENCE;
        while shared.lock().unwrap().at_work < count {
            assert!(Instant::now() < deadline && !thread.is_finished(), "the honest rigs are let in");
            thread::sleep(Duration::from_millis(20));
        }
        Crowd { shared, thread }
    }

    /// What answers took in the time from now on.
    pub fn watch(&self, time: Duration) -> Latencies {
        self.shared.lock().unwrap().latencies = Latencies::default();
        thread::sleep(time);
        let mut latencies = std::mem::take(&mut self.shared.lock().unwrap().latencies);
        latencies.shares.sort_unstable();
        latencies.pings.sort_unstable();
        latencies
    }

    /// Waits for the last answers.
    pub fn stop(self) -> Done {
        self.shared.lock().unwrap().stopping = true;
        self.thread.join().expect("the honest rigs don't panic");
        std::mem::take(&mut self.shared.lock().unwrap().done)
    }
}

fn run(pool: SocketAddr, count: usize, interval: Duration, shared: &Mutex<Shared>) {
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(256);
    let begun = Instant::now();
    let mut rigs: Vec<Rig> = Vec::with_capacity(count);
    for number in 0..count {
        let stream = std::net::TcpStream::connect(pool).expect("the pool listens");
        stream.set_nonblocking(true).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(number), Interest::READABLE).unwrap();
        rigs.push(Rig::new(stream, number, interval, begun));
    }
    let mut stop_at = None;
    loop {
        if let Err(error) = poll.poll(&mut events, Some(Duration::from_millis(2))) {
            assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
        }
        let mut shared = shared.lock().unwrap();
        for event in &events {
            rigs[event.token().0].read(&mut shared);
        }
        if shared.stopping && stop_at.is_none() {
            stop_at = Some(Instant::now());
        }
        if let Some(stop_at) = stop_at {
            if rigs.iter().all(|rig| rig.waiting.is_empty()) || stop_at.elapsed() > PATIENCE {
                return;
            }
            continue;
        }
        // A few hashes of one rig at a time: an answer must not wait for the test's own work.
        let now = Instant::now();
        let due = rigs.iter_mut().filter(|rig| rig.due_at <= now && rig.work.is_some());
        if let Some(rig) = due.min_by_key(|rig| rig.due_at) {
            rig.mine(&mut shared);
        }
    }
}

struct Rig {
    stream: TcpStream,
    number: usize,
    input: Vec<u8>,
    extranonce1: Vec<u8>,
    extranonce2: Vec<u8>,
    difficulty: Option<Difficulty>,
    work: Option<Work>,
    username: String,
    next_id: u64,
    interval: Duration,
    due_at: Instant,
    rng: Rng,
    waiting: Vec<(u64, Instant)>,
    is_closed: bool,
}

impl Rig {
    /// One that finds a share each `interval`, on the average.
    fn new(stream: TcpStream, number: usize, interval: Duration, now: Instant) -> Rig {
        let mut hash = [1; 20];
        hash[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let mut rig = Rig {
            stream,
            number,
            input: Vec::new(),
            extranonce1: Vec::new(),
            extranonce2: Vec::new(),
            difficulty: None,
            work: None,
            username: address_of(&hash),
            next_id: FIRST,
            interval,
            due_at: now,
            rng: Rng::new(number as u64),
            waiting: Vec::new(),
            is_closed: false,
        };
        rig.set_due();
        rig.say(SUBSCRIBE, "mining.subscribe", &json!(["honest/1"]));
        rig
    }

    /// Shares come as chance has it. Were they regular, what they wait for the next commit would hang on how the two
    /// beats fall together, and a moment's delay would shift it by many.
    fn set_due(&mut self) {
        self.due_at += Duration::from_secs_f64(self.rng.wait(self.interval.as_secs_f64()));
    }

    fn say(&mut self, id: u64, method: &str, params: &Value) {
        let line = json!({"id": id, "method": method, "params": params}).to_string() + "\n";
        // The little that a rig sends always fits; one whose connection is gone is counted where it reads.
        let _ = self.stream.write_all(line.as_bytes());
        if id >= FIRST {
            self.waiting.push((id, Instant::now()));
        }
    }

    fn mine(&mut self, shared: &mut Shared) {
        let Some(found) = self.work.as_mut().and_then(|work| work.search(HASHES).into_iter().next()) else { return };
        self.set_due();
        shared.done.submitted += 1;
        let id = self.next_id;
        self.next_id += 2;
        let (extranonce2, ntime) = (hex::encode(&found.extranonce2), format!("{:08x}", found.ntime));
        let share = json!([self.username, found.job_id, extranonce2, ntime, format!("{:08x}", found.nonce)]);
        self.say(id, "mining.submit", &share);
        self.say(id + 1, "mining.ping", &json!([]));
    }

    fn read(&mut self, shared: &mut Shared) {
        let mut piece = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut piece) {
                Ok(count) if count > 0 => self.input.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                ended => {
                    if !self.is_closed {
                        self.is_closed = true;
                        shared.done.closed += 1;
                        shared.done.complaints.push(format!("rig {} was closed: {ended:?}", self.number));
                    }
                    break;
                }
            }
        }
        while let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.input.drain(..=end).collect();
            let message: Value = serde_json::from_slice(&line).expect("the pool sends JSON");
            self.hear(&message, shared);
        }
    }

    fn hear(&mut self, message: &Value, shared: &mut Shared) {
        let params = &message["params"];
        match (message["method"].as_str(), message["id"].as_u64()) {
            (Some("mining.set_difficulty"), _) => self.difficulty = Difficulty::from_f64(params[0].as_f64().unwrap()),
            (Some("mining.notify"), _) => {
                let difficulty = self.difficulty.expect("a difficulty comes before the first job");
                shared.at_work += usize::from(self.work.is_none());
                self.work = Work::parse(params, &self.extranonce1, &self.extranonce2, difficulty);
                assert!(self.work.is_some(), "a notify that no rig understands: {message}");
            }
            (None, Some(SUBSCRIBE)) => {
                self.extranonce1 = hex::decode(message["result"][1].as_str().unwrap()).unwrap();
                self.extranonce2 = vec![7; message["result"][2].as_u64().unwrap() as usize];
                let username = self.username.clone();
                self.say(AUTHORIZE, "mining.authorize", &json!([username, "x"]));
            }
            (None, Some(AUTHORIZE)) => assert_eq!(message["result"], true, "{message}"),
            (None, Some(id)) => {
                let at = self.waiting.iter().position(|(waiting, _)| *waiting == id);
                let (_, sent_at) = self.waiting.swap_remove(at.expect("an answer to what was asked"));
                if id % 2 == 1 {
                    return shared.latencies.pings.push(sent_at.elapsed());
                }
                shared.latencies.shares.push(sent_at.elapsed());
                if message["result"] == true {
                    shared.done.accepted += 1;
                } else {
                    shared.done.refused += 1;
                    shared.done.complaints.push(format!("rig {}: {message}", self.number));
                }
            }
            _ => panic!("no rig understands {message}"),
        }
    }
}
