//! A non-blocking socket with what waits to be sent on it. Moves bytes; knows nothing of what they mean.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::rc::Rc;

use mio::net::TcpStream;

/// Buffers handed to the system in one call.
const VECTORS: usize = 16;

/// See the module.
#[derive(Debug)]
pub struct Stream {
    /// The socket, for registering.
    pub socket: TcpStream,
    queue: VecDeque<Rc<[u8]>>,
    /// How much of the first buffer has left.
    sent: usize,
    queued: usize,
}

impl Stream {
    /// Wraps a socket that is open, or is being opened.
    pub fn new(socket: TcpStream) -> Stream {
        // Lines are short and wait for answers; a failure only costs latency.
        let _ = socket.set_nodelay(true);
        Stream { socket, queue: VecDeque::new(), sent: 0, queued: 0 }
    }

    /// Puts bytes in line; [`Stream::flush`] sends them.
    pub fn push(&mut self, bytes: Rc<[u8]>) {
        if !bytes.is_empty() {
            self.queued += bytes.len();
            self.queue.push_back(bytes);
        }
    }

    /// Sends two buffers, one after the other, behind what is in line. Only what the system does not take now is kept.
    pub fn send(&mut self, first: &[u8], second: Option<&Rc<[u8]>>) -> io::Result<()> {
        let slices = [IoSlice::new(first), IoSlice::new(second.map_or(&[], |second| second))];
        // A job that goes to every rig mostly goes alone.
        let slices = if first.is_empty() { &slices[1..] } else { &slices };
        let sent = if self.queue.is_empty() { Self::write(&mut self.socket, slices)? } else { 0 };
        if sent < first.len() {
            self.push(first[sent..].into());
        }
        if let Some(second) = second
            && sent < first.len() + second.len()
        {
            self.push(Rc::clone(second));
            let left = sent.saturating_sub(first.len());
            if left > 0 {
                // Then it is alone in line.
                self.advance(left);
            }
        }
        Ok(())
    }

    /// Bytes that have not left yet.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Sends what the system takes now.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); VECTORS];
            let mut used = 0;
            for (slice, bytes) in slices.iter_mut().zip(&self.queue) {
                *slice = IoSlice::new(if used == 0 { &bytes[self.sent..] } else { bytes });
                used += 1;
            }
            match Self::write(&mut self.socket, &slices[..used])? {
                0 => return Ok(()),
                count => self.advance(count),
            }
        }
        Ok(())
    }

    /// How much of the buffers the system takes now.
    fn write(socket: &mut TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        loop {
            let outcome = match slices {
                // The system has less to do for one than for a list of one.
                [one] => socket.write(one),
                several => socket.write_vectored(several),
            };
            match outcome {
                Ok(0) if slices.iter().any(|slice| !slice.is_empty()) => return Err(ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    /// Reads what is there: `None` when there is nothing now, `Some(0)` when the peer has closed.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.socket.read(buffer) {
                Ok(count) => return Ok(Some(count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn advance(&mut self, count: usize) {
        self.queued -= count;
        self.sent += count;
        while let Some(front) = self.queue.front()
            && self.sent >= front.len()
        {
            self.sent -= front.len();
            self.queue.pop_front();
        }
        if self.queue.is_empty() && self.queue.capacity() > VECTORS {
            self.queue.shrink_to(0);
        }
    }
}
