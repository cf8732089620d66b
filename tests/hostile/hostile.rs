//! Hostile clients: a thread and a loopback address for each.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use crate::kinds::KINDS;

/// What the clients of one kind did and met.
#[derive(Default)]
pub struct Tally {
    /// Connections made.
    pub connected: u64,
    /// Times that it did what it came for.
    pub acts: u64,
    /// Connections that the pool ended.
    pub closed: u64,
    /// Connections that it did not get.
    pub denied: u64,
    /// Answers that it must not get.
    pub surprises: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { connected, acts, closed, denied, surprises } = self;
        write!(f, "connected {connected}, acts {acts}, closed by the pool {closed}, denied {denied}")?;
        if *surprises > 0 { write!(f, ", SURPRISES {surprises}") } else { Ok(()) }
    }
}

#[derive(Default)]
struct Counters {
    connected: AtomicU64,
    acts: AtomicU64,
    closed: AtomicU64,
    denied: AtomicU64,
    surprises: AtomicU64,
}

/// One hostile client, for what it does.
pub struct Client {
    pool: SocketAddr,
    from: Ipv4Addr,
    /// Its number among all of the horde.
    pub number: usize,
    stopping: Arc<AtomicBool>,
    counters: Arc<Counters>,
}

impl Client {
    /// Whether it may go on.
    pub fn goes_on(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed)
    }

    /// Waits, but not beyond the end.
    pub fn rest(&self, ms: u64) {
        for _ in 0..ms.div_ceil(20) {
            if self.goes_on() {
                thread::sleep(Duration::from_millis(ms.min(20)));
            }
        }
    }

    /// As [`Client::connect`], with hardly any room for what the pool sends.
    pub fn connect_narrow(&self) -> Option<TcpStream> {
        self.connect_with(|socket| set_socket_recv_buffer_size(socket, 2_048))
    }

    /// Connects from its own address; a second later again where that fails.
    pub fn connect(&self) -> Option<TcpStream> {
        self.connect_with(|_| Ok(()))
    }

    fn connect_with(&self, set: impl Fn(&OwnedFd) -> rustix::io::Result<()>) -> Option<TcpStream> {
        let connected = (|| -> io::Result<TcpStream> {
            let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
            set(&socket)?;
            bind(&socket, &SocketAddr::from((self.from, 0)))?;
            connect(&socket, &self.pool)?;
            let stream = TcpStream::from(socket);
            stream.set_read_timeout(Some(Duration::from_millis(200)))?;
            stream.set_write_timeout(Some(Duration::from_millis(200)))?;
            Ok(stream)
        })();
        match connected {
            Ok(stream) => {
                self.counters.connected.fetch_add(1, Ordering::Relaxed);
                Some(stream)
            }
            Err(_) => {
                self.counters.denied.fetch_add(1, Ordering::Relaxed);
                self.rest(1_000);
                None
            }
        }
    }

    /// It did what it came for.
    pub fn note_act(&self) {
        self.counters.acts.fetch_add(1, Ordering::Relaxed);
    }

    /// The pool has ended a connection.
    pub fn note_closed(&self) {
        self.counters.closed.fetch_add(1, Ordering::Relaxed);
    }

    /// It was answered what it must not be.
    pub fn note_surprise(&self, what: &str) {
        eprintln!("{}: {what}", self.from);
        self.counters.surprises.fetch_add(1, Ordering::Relaxed);
    }

    /// Sends all of it; `false` when the pool has ended the connection.
    pub fn send(&self, stream: &mut TcpStream, mut bytes: &[u8]) -> bool {
        while self.goes_on() && !bytes.is_empty() {
            match stream.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if is_pause(&error) => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// Reads what is there, after a moment at most; `None` when the pool has ended the connection.
    pub fn read(&self, stream: &mut TcpStream) -> Option<String> {
        let mut piece = [0; 64 * 1024];
        match stream.read(&mut piece) {
            Ok(0) => None,
            Ok(count) => Some(String::from_utf8_lossy(&piece[..count]).into_owned()),
            Err(error) if is_pause(&error) => Some(String::new()),
            Err(_) => None,
        }
    }

    /// Everything until the pool ends the connection.
    pub fn read_to_end(&self, stream: &mut TcpStream) -> String {
        let mut text = String::new();
        while self.goes_on() {
            match self.read(stream) {
                Some(more) => text += &more,
                None => {
                    self.note_closed();
                    break;
                }
            }
        }
        text
    }
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// Hostile clients bring their own processors: here the thread that asks runs only when nobody else wants to. Being nice
/// is less, for a hundred that are nice together still make whoever wakes up wait until their turns end.
fn step_back() {
    let thread = fs::read_link("/proc/thread-self").expect("Linux tells which thread this is");
    let thread = thread.file_name().expect("it ends with the thread's number");
    let idle = Command::new("chrt").args(["--idle", "--pid", "0"]).arg(thread).stderr(Stdio::null()).status();
    if !idle.is_ok_and(|status| status.success()) {
        let _ = rustix::process::nice(19);
    }
}

/// All of them.
pub struct Horde {
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    counters: BTreeMap<&'static str, Arc<Counters>>,
}

impl Horde {
    /// So many of each kind.
    pub fn start(pool: SocketAddr, of_each: usize) -> Horde {
        let stopping = Arc::new(AtomicBool::new(false));
        let (mut threads, mut counters) = (Vec::new(), BTreeMap::new());
        let start = || {
            // Threads are scheduled as the one that starts them.
            step_back();
            for (kind, (name, act)) in KINDS.iter().enumerate() {
                let shared: &Arc<Counters> = counters.entry(*name).or_default();
                for index in 0..of_each {
                    let client = Client {
                        pool,
                        from: Ipv4Addr::new(127, 0, kind as u8 + 1, index as u8 + 1),
                        number: kind * of_each + index,
                        stopping: stopping.clone(),
                        counters: shared.clone(),
                    };
                    threads.push(thread::spawn(move || {
                        while client.goes_on() {
                            act(&client);
                        }
                    }));
                }
            }
        };
        thread::scope(|scope| scope.spawn(start).join()).expect("threads can be started");
        Horde { stopping, threads, counters }
    }

    /// Ends them, and tells what they did, by kind.
    pub fn stop(self) -> BTreeMap<&'static str, Tally> {
        self.stopping.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("hostile clients don't panic");
        }
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let tally = |counters: &Counters| Tally {
            connected: count(&counters.connected),
            acts: count(&counters.acts),
            closed: count(&counters.closed),
            denied: count(&counters.denied),
            surprises: count(&counters.surprises),
        };
        self.counters.iter().map(|(name, counters)| (*name, tally(counters))).collect()
    }
}
