//! All rigs of the benchmark in one event loop. What they are to do together, and when all have done it.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::rig::{Heard, Rig};
use super::{ADDRESSES, Failure, address_of, io_failure};

/// A pool that keeps the rigs waiting for longer does not answer at all.
const PATIENCE: Duration = Duration::from_secs(60);
/// A crowd that looks without a pause never sleeps, and need not be woken by who writes to it. Rigs are other machines;
/// over loopback it would be the pool's core that wakes them, once for nearly each that it tells of a block.
const WATCHING: Duration = Duration::ZERO;
/// How often it is looked whether the operator wants an end.
const PULSE: Duration = Duration::from_millis(100);
/// Shares on their way at one time, of all rigs together.
const UNDER_WAY: usize = 64_000;
/// And of one.
const UNDER_WAY_OF_ONE: usize = 256;
/// What is read at once.
const BUFFER: usize = 64 * 1024;

/// See the module. Disconnects with this.
pub(super) struct Crowd {
    poll: Poll,
    events: Events,
    rigs: Vec<Rig>,
    buffer: Box<[u8]>,
    interrupted: Arc<AtomicBool>,
}

/// When the rigs had a new job. The kernel had the line at that time; who read it a little later read others before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reached {
    pub(super) first: Instant,
    pub(super) last: Instant,
}

/// What the pool said of shares.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answers {
    pub(super) accepted: u64,
    pub(super) refused: u64,
}

impl Crowd {
    /// Connects `count` rigs at once; done when each is subscribed and authorised and has a job.
    pub(super) fn connect(pool: SocketAddr, count: usize, interrupted: &Arc<AtomicBool>) -> Result<Crowd, Failure> {
        let poll = Poll::new().map_err(io_failure("making an event loop"))?;
        let mut crowd = Crowd {
            poll,
            events: Events::with_capacity(1_024),
            rigs: Vec::with_capacity(count),
            buffer: vec![0; BUFFER].into_boxed_slice(),
            interrupted: interrupted.clone(),
        };
        let addresses: Vec<String> = (1..=ADDRESSES).map(address_of).collect();
        for number in 0..count {
            let failed = |error: std::io::Error| Failure(format!("connecting rig {} of {count}: {error}", number + 1));
            let mut socket = TcpStream::connect(pool).map_err(failed)?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            crowd.poll.registry().register(&mut socket, Token(number), interest).map_err(failed)?;
            let username = format!("{}.rig{number}", addresses[number % ADDRESSES]);
            crowd.rigs.push(Rig::new(socket, username));
        }
        let mut at_work = 0;
        crowd.until(PULSE, |_, heard, _| {
            at_work += usize::from(heard == Heard::NewWork);
            at_work == count
        })?;
        Ok(crowd)
    }

    /// Reads for a time what the pool says of its own accord.
    pub(super) fn idle(&mut self, time: Duration) -> Result<(), Failure> {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.turn(left, |_, _, _| ())?;
        }
        Ok(())
    }

    /// Waits until each rig was told that there is a block.
    pub(super) fn notified(&mut self) -> Result<Reached, Failure> {
        let (mut count, all) = (0, self.rigs.len());
        let mut first = None;
        let mut last = Instant::now();
        self.until(WATCHING, |_, heard, at| {
            if heard == Heard::NewWork {
                count += 1;
                first.get_or_insert(at);
                last = at;
            }
            count == all
        })?;
        Ok(Reached { first: first.unwrap_or(last), last })
    }

    /// Lets the first `senders` rigs send shares for `time`, but not more than `most`; done when all are answered.
    pub(super) fn submit(&mut self, senders: usize, time: Duration, most: u64) -> Result<Answers, Failure> {
        let senders = senders.min(self.rigs.len());
        let ahead = (UNDER_WAY / senders).min(UNDER_WAY_OF_ONE);
        let end = Instant::now() + time;
        let mut answers = Answers::default();
        let mut sent = 0;
        for rig in &mut self.rigs[..senders] {
            sent += rig.submit(ahead)?;
        }
        let mut is_over = false;
        self.until(PULSE, |rig, heard, at| {
            match heard {
                Heard::Accepted => answers.accepted += 1,
                Heard::Refused => answers.refused += 1,
                Heard::NewWork | Heard::Other => {}
            }
            is_over |= at >= end || sent >= most;
            // A rig speaks again when half of what it said is answered: pipelined, as behind a proxy.
            if !is_over && rig.unanswered() <= ahead / 2 {
                sent += rig.queue_shares(ahead - ahead / 2);
            }
            is_over && answers.accepted + answers.refused == sent
        })?;
        Ok(answers)
    }

    /// Bytes of the line that told the first rig its job.
    pub(super) fn job_bytes(&self) -> usize {
        self.rigs.first().map_or(0, Rig::job_bytes)
    }

    /// Turns, each of which waits no longer than `timeout`, until `done` says so of something that was heard.
    fn until(
        &mut self,
        timeout: Duration,
        mut done: impl FnMut(&mut Rig, Heard, Instant) -> bool,
    ) -> Result<(), Failure> {
        let (mut is_done, mut heard_at) = (false, Instant::now());
        while !is_done {
            self.turn(timeout, |rig, heard, at| {
                heard_at = at;
                is_done |= done(rig, heard, at);
            })?;
            if heard_at.elapsed() > PATIENCE {
                return Err(Failure(format!("the pool said nothing for {} s", PATIENCE.as_secs())));
            }
        }
        Ok(())
    }

    /// Waits for events once, and gives everything that was heard with the time when it was there to be read.
    fn turn(&mut self, timeout: Duration, mut each: impl FnMut(&mut Rig, Heard, Instant)) -> Result<(), Failure> {
        if let Err(error) = self.poll.poll(&mut self.events, Some(timeout.min(PULSE)))
            && error.kind() != ErrorKind::Interrupted
        {
            return Err(io_failure("waiting for events")(error));
        }
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(Failure("interrupted".into()));
        }
        let at = Instant::now();
        for event in &self.events {
            let Some(rig) = self.rigs.get_mut(event.token().0) else { continue };
            if event.is_readable() {
                rig.read(&mut self.buffer, |rig, heard| each(rig, heard, at))?;
            }
            rig.flush()?;
        }
        Ok(())
    }
}
