//! How submissions of a connection, or of an address, turn out, minute by minute: what tells a flood from a bad minute.

use crate::base::time::{MINUTE, Now};

/// Invalid shares in one minute that make it a bad one; an honest rig sends some five shares a minute altogether.
const BAD_MINUTE: u32 = 100;
/// Bad minutes on end that are a flood. A new firmware, a wrong difficulty or a cable may spoil one or two.
const FLOOD_MINUTES: u32 = 5;
/// Refused shares in this minute from which on a connection is read slowly.
const SLOWED: u32 = 50;
/// "Nearly only": fewer than one credited share in so many.
const NEARLY_ONLY: u32 = 20;

/// What became of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was credited.
    Credited,
    /// Refused as happens to honest rigs: it came late, or the difficulty had just changed.
    Late,
    /// Refused for what no honest rig sends many of.
    Invalid,
}

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conduct {
    /// The minute that is counted, since the monotonic clock began.
    minute: u64,
    credited: u32,
    /// With the invalid ones.
    refused: u32,
    invalid: u32,
    /// Bad minutes on end, before this one.
    bad_minutes: u32,
    /// Whether anything was ever credited.
    pub has_worked: bool,
}

impl Conduct {
    /// Counts one submission.
    pub fn note(&mut self, outcome: Outcome, now: Now) {
        self.roll(now);
        match outcome {
            Outcome::Credited => {
                self.credited = self.credited.saturating_add(1);
                self.has_worked = true;
            }
            Outcome::Late => self.refused = self.refused.saturating_add(1),
            Outcome::Invalid => {
                self.refused = self.refused.saturating_add(1);
                self.invalid = self.invalid.saturating_add(1);
            }
        }
    }

    /// Somebody honest is here: this minute is no bad one whatever comes, and those before are forgotten.
    pub fn absolve(&mut self, now: Now) {
        self.roll(now);
        self.bad_minutes = 0;
        self.credited = u32::MAX;
    }

    /// Whether nearly nothing of it was worth crediting lately.
    pub fn is_wasteful(&self) -> bool {
        self.bad_minutes > 0 || self.refused >= SLOWED && self.is_nearly_only(self.refused)
    }

    /// Whether it was nearly only invalid shares, and many, for five minutes on end.
    pub fn is_flood(&self) -> bool {
        self.bad_minutes >= FLOOD_MINUTES
    }

    /// Whether nothing was counted in this minute and the one before.
    pub fn is_over(&self, now: Now) -> bool {
        self.minute + 1 < now.mono_ms / MINUTE
    }

    fn roll(&mut self, now: Now) {
        let minute = now.mono_ms / MINUTE;
        if minute == self.minute {
            return;
        }
        let was_bad = self.invalid >= BAD_MINUTE && self.is_nearly_only(self.invalid);
        let bad_minutes = if was_bad && minute == self.minute + 1 { self.bad_minutes + 1 } else { 0 };
        *self = Conduct { minute, bad_minutes, has_worked: self.has_worked, ..Conduct::default() };
    }

    fn is_nearly_only(&self, refused: u32) -> bool {
        self.credited.saturating_mul(NEARLY_ONLY) < refused
    }
}
