//! What this machine takes at least to tell so many sockets the same: a loop of writes with no pool around it, and
//! a reader beside it. Whatever the pool takes more is its own.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use super::{Failure, io_failure};

/// A reader that hears nothing for this long has lost something.
const PATIENCE: Duration = Duration::from_secs(10);

/// From the first to the last of `count` sockets that have `bytes` to read, as often as told.
pub(super) fn spreads(count: usize, bytes: usize, times: usize) -> Result<Vec<Duration>, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(io_failure("listening"))?;
    let address = listener.local_addr().map_err(io_failure("listening"))?;
    let mut poll = Poll::new().map_err(io_failure("making an event loop"))?;
    let (mut readers, mut writers) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for number in 0..count {
        let pair = TcpStream::connect(address).and_then(|reader| {
            let (writer, _) = listener.accept()?;
            writer.set_nodelay(true)?;
            reader.set_nonblocking(true)?;
            let mut reader = mio::net::TcpStream::from_std(reader);
            poll.registry().register(&mut reader, Token(number), Interest::READABLE)?;
            Ok((reader, writer))
        });
        let (reader, writer) = pair.map_err(io_failure("connecting a pair of sockets"))?;
        readers.push(reader);
        writers.push(writer);
    }
    let (begin, begun) = mpsc::channel::<()>();
    let writing = thread::spawn(move || {
        let line = vec![b'x'; bytes];
        for () in begun {
            for writer in &mut writers {
                // A reader that is gone is missed by who waits for it.
                let _ = writer.write_all(&line);
            }
        }
    });
    let mut spreads = Vec::with_capacity(times);
    for _ in 0..times {
        // Nobody listens only when the thread has panicked, and then nothing comes.
        let _ = begin.send(());
        spreads.push(spread(&mut poll, &mut readers, bytes)?);
    }
    drop(begin);
    // It has nothing left to do.
    let _ = writing.join();
    Ok(spreads)
}

/// Reads until every socket has had its bytes.
fn spread(poll: &mut Poll, readers: &mut [mio::net::TcpStream], bytes: usize) -> Result<Duration, Failure> {
    let mut events = Events::with_capacity(1_024);
    let mut buffer = vec![0; 64 * 1024];
    let (mut missing, mut first, mut last) = (readers.len() * bytes, None, Instant::now());
    while missing > 0 {
        // Awake all the time, as the crowd that waits for a block.
        let waited = poll.poll(&mut events, Some(Duration::ZERO));
        let now = Instant::now();
        if events.is_empty() {
            if waited.is_ok() && now.saturating_duration_since(last) > PATIENCE {
                return Err(Failure("the system's own sockets lose what is written to them".into()));
            }
            continue;
        }
        last = now;
        first.get_or_insert(last);
        for event in &events {
            let Some(reader) = readers.get_mut(event.token().0) else { continue };
            loop {
                match reader.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => missing = missing.saturating_sub(count),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(io_failure("reading a socket")(error)),
                }
            }
        }
    }
    Ok(last.saturating_duration_since(first.unwrap_or(last)))
}
