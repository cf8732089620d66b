//! A peer for a node that has none. Says nothing to it.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A bare TCP connection counts as a peer of the node for 60 s, and without a peer there are no templates (-9). The visitor
/// always holds one that is younger than that, comes back soon after a restart, and leaves when it is dropped.
pub struct Visitor {
    leaving: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Visitor {
    /// Visits what listens, or will listen, on this port of 127.0.0.1.
    pub fn new(port: u16) -> Visitor {
        let leaving = Arc::new(AtomicBool::new(false));
        let told = leaving.clone();
        let thread = thread::spawn(move || {
            let mut held = None;
            while !told.load(Ordering::Relaxed) {
                // The new connection is made before the old one is dropped: there is never a moment without a peer.
                held = connected_visit(port, &told).or(held);
            }
        });
        Visitor { leaving, thread: Some(thread) }
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.leaving.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Opens a connection and looks after it for 20 s, or until the node closes it.
fn connected_visit(port: u16, leaving: &AtomicBool) -> Option<TcpStream> {
    let pause = Duration::from_millis(50);
    let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else {
        thread::sleep(pause);
        return None;
    };
    stream.set_read_timeout(Some(pause)).ok()?;
    for _ in 0..400 {
        let mut byte = [0];
        match stream.peek(&mut byte) {
            Ok(0) => {
                thread::sleep(pause);
                return None;
            }
            Ok(_) => thread::sleep(pause),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => return None,
        }
        if leaving.load(Ordering::Relaxed) {
            break;
        }
    }
    Some(stream)
}
