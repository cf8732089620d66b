//! A chain of the demo as a coin node: HTTP and JSON-RPC on a loopback port, in the shapes of litecoind and dogecoind, so
//! that the pool's ordinary client talks to it as to any node. A thread for each connection, as a node has; the pool stays with its
//! one. Knows only the calls that a pool and a curious person make.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::calls::Calls;
use super::chain::Chain;
use crate::base::limits::HTTP_HEAD;
use crate::shell::clock::Clock;
use crate::wire::http::{CONTINUE, HttpRequest, RequestReader, response};
use crate::wire::jsonrpc::serve;

/// Longest body of a request: a block of the largest size in hexadecimal, with its envelope.
const BODY: usize = 8 * 1024 * 1024 + 1024;
/// Connections at one time; a pool has two.
const CONNECTIONS: usize = 16;
/// A connection that says nothing for this long is closed, as litecoind does.
const IDLE_MS: u64 = 30_000;
/// How often a waiting thread looks whether it is to stop.
pub(super) const PULSE: Duration = Duration::from_millis(200);

/// A node that answers until it is dropped.
pub struct EmbeddedNode {
    /// What it serves; to be locked only for a moment, since every call waits for it.
    pub chain: Arc<Mutex<Chain>>,
    addr: SocketAddr,
    service: Arc<Service>,
    listener: Option<JoinHandle<()>>,
}

/// What the threads share.
pub(super) struct Service {
    pub(super) chain: Arc<Mutex<Chain>>,
    /// A block came, or the end.
    pub(super) changed: Condvar,
    pub(super) clock: Clock,
    authorization: String,
    stopping: AtomicBool,
}

impl EmbeddedNode {
    /// Serves `chain` on a free port of 127.0.0.1 to whoever shows `cookie`, which is `user:password` as in a node's
    /// cookie file.
    pub fn start(chain: Chain, cookie: &str) -> io::Result<EmbeddedNode> {
        EmbeddedNode::serve(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, Arc::new(Mutex::new(chain)), cookie)
    }

    /// The same on a socket that is bound already: a node that comes back with its chain.
    pub fn serve(socket: TcpListener, chain: Arc<Mutex<Chain>>, cookie: &str) -> io::Result<EmbeddedNode> {
        let addr = socket.local_addr()?;
        let service = Arc::new(Service {
            chain: chain.clone(),
            changed: Condvar::new(),
            clock: Clock::start(),
            authorization: format!("Basic {}", STANDARD.encode(cookie)),
            stopping: AtomicBool::new(false),
        });
        let listener = thread::Builder::new().name("demo-node".into()).spawn({
            let service = service.clone();
            move || listen(&socket, &service)
        })?;
        Ok(EmbeddedNode { chain, addr, service, listener: Some(listener) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for EmbeddedNode {
    fn drop(&mut self) {
        self.service.stopping.store(true, Ordering::SeqCst);
        self.service.changed.notify_all();
        // The listener's thread waits for a connection: this one ends it. Where there is none to be had, that thread
        // is left to the end of the process.
        if TcpStream::connect(self.addr).is_ok()
            && let Some(listener) = self.listener.take()
            && listener.join().is_err()
        {
            log::error!("the demo's node ended with a panic");
        }
    }
}

impl Service {
    pub(super) fn lock(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().expect("nothing panics while it holds the chain")
    }

    pub(super) fn now_s(&self) -> u32 {
        u32::try_from(self.clock.now().wall_ms / 1_000).unwrap_or(u32::MAX)
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}

/// Accepts until the end, then waits for the connections' threads.
fn listen(socket: &TcpListener, service: &Arc<Service>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    for accepted in socket.incoming() {
        if service.is_stopping() {
            break;
        }
        threads.retain(|thread| !thread.is_finished());
        let Ok(stream) = accepted.inspect_err(|error| log::warn!("the demo's node can't accept: {error}")) else {
            thread::sleep(PULSE);
            continue;
        };
        if threads.len() >= CONNECTIONS {
            continue;
        }
        let service = service.clone();
        let spawned = thread::Builder::new().name("demo-node-call".into()).spawn(move || {
            if let Err(error) = converse(stream, &service) {
                log::debug!("a connection to the demo's node ended: {error}");
            }
        });
        threads.extend(spawned.inspect_err(|error| log::warn!("the demo's node has no thread: {error}")));
    }
    for thread in threads {
        if thread.join().is_err() {
            log::error!("a connection to the demo's node ended with a panic");
        }
    }
}

/// Answers one connection's requests, one after another.
fn converse(mut stream: TcpStream, service: &Service) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PULSE))?;
    stream.set_write_timeout(Some(Duration::from_millis(IDLE_MS)))?;
    let mut reader = RequestReader::new(HTTP_HEAD, BODY);
    let mut heard_ms = service.clock.now().mono_ms;
    let mut piece = [0; 16 * 1024];
    while !service.is_stopping() && service.clock.now().mono_ms - heard_ms < IDLE_MS {
        while let Some(request) = reader.next() {
            let request = match request {
                Ok(request) => request,
                Err(error) => return stream.write_all(&response(error.status(), "text/plain", b"", false, &[])),
            };
            stream.write_all(&answer(&request, service))?;
            if !request.keep_alive {
                return Ok(());
            }
            heard_ms = service.clock.now().mono_ms;
        }
        if reader.take_continue() {
            stream.write_all(CONTINUE)?;
        }
        match stream.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                heard_ms = service.clock.now().mono_ms;
                reader.push(&piece[..count]);
            }
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether a read gave nothing, and the next may.
pub(super) fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn answer(request: &HttpRequest, service: &Service) -> Vec<u8> {
    let keep = request.keep_alive;
    if request.method != "POST" {
        return response(405, "text/plain", b"JSONRPC server handles only POST requests", keep, &[]);
    }
    if request.authorization.as_ref() != Some(&service.authorization) {
        let ask = [("WWW-Authenticate", "Basic realm=\"jsonrpc\"")];
        return response(401, "text/html; charset=ISO-8859-1", b"", keep, &ask);
    }
    let served = serve(&request.body, |call| {
        let none = Vec::new();
        let params = match &call.params {
            Value::Array(params) => params,
            _ => &none,
        };
        Calls { service, params }.make(&call.method)
    });
    response(served.status, "application/json", &served.body, keep, &[])
}

#[cfg(test)]
mod tests;
