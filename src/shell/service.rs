//! What systemd is told: ready, alive, a line of status, stopping. Without systemd all of it does nothing.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::base::time::Now;
use crate::pool::Pool;

/// A beat this often, in milliseconds, when no watchdog asks for more.
const BEAT_MS: u64 = 1_000;

/// See the module.
pub struct Service {
    every_ms: u64,
    next_ms: u64,
}

impl Service {
    /// Learns from the environment whether a watchdog waits. Its time is halved, as systemd advises.
    pub fn start() -> Service {
        let watchdog = sd_notify::watchdog_enabled().map_or(u64::MAX, |time: Duration| time.as_millis() as u64 / 2);
        Service { every_ms: watchdog.min(BEAT_MS), next_ms: 0 }
    }

    /// Everything is open.
    pub fn ready(&self) {
        notify(&[NotifyState::Ready]);
    }

    /// When [`Service::beat`] is due, in monotonic milliseconds.
    pub fn next_at(&self) -> u64 {
        self.next_ms
    }

    /// The loop turns. Called from the loop only, so that a stuck one is noticed.
    pub fn beat(&mut self, pools: &[Pool], now: Now) {
        self.next_ms = now.mono_ms + self.every_ms;
        let line = |pool: &Pool| {
            let height =
                pool.current_job().map_or("no job".to_string(), |job| format!("height {}", job.template.height));
            let troubles = pool.troubles().join("; ");
            format!(
                "{}: {height}, {} connections{}{troubles}",
                pool.spec().name,
                pool.connections(),
                if troubles.is_empty() { "" } else { ", " }
            )
        };
        let status = pools.iter().map(line).collect::<Vec<String>>().join(" | ");
        notify(&[NotifyState::Watchdog, NotifyState::Status(&status)]);
    }

    /// The end has begun.
    pub fn stopping(&self) {
        notify(&[NotifyState::Stopping]);
    }
}

fn notify(state: &[NotifyState]) {
    // Without systemd there is nobody to tell, and with it there is nothing to do about a failure.
    let _ = sd_notify::notify(state);
}
