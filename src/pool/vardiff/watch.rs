//! Watches shares for proof that they no longer come at the rate that is assumed. It never says how wrong
//! the rate is before it is sure that it is wrong.

use core::f32::consts::{LN_2, LN_10};

use serde::{Deserialize, Serialize};

/// Rates that are looked out for, as multiples of the assumed one, each with its natural logarithm and the
/// evidence that it takes. A rig that stopped or doubled is worth a second look soon; one that is a quarter
/// off is worth a restart of its work only when that is beyond doubt.
const ALTERNATIVES: [Alternative; 5] = [
    Alternative { rate: 0.1, log: -LN_10, proof: 11.5 },
    Alternative { rate: 0.5, log: -LN_2, proof: 9.5 },
    Alternative { rate: 0.75, log: -0.287_682, proof: 11.0 },
    Alternative { rate: 1.25, log: 0.223_144, proof: 11.0 },
    Alternative { rate: 2.0, log: LN_2, proof: 10.5 },
];

struct Alternative {
    rate: f32,
    log: f32,
    /// Logarithm of the odds. Where the assumption holds, chance reaches it once in more than e^proof shares.
    proof: f32,
}

/// One cumulative sum (Page 1954) for each alternative: the logarithm of how much likelier it makes the
/// shares than the assumed rate does, since the moment that speaks for it most.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Watch([Sum; ALTERNATIVES.len()]);

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Sum {
    evidence: f32,
    shares: f32,
    expected: f32,
}

/// The rate is another one: what came, and what should have come in the same time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alarm {
    /// Shares that came.
    pub shares: f64,
    /// Shares that the assumed rate would have brought.
    pub expected: f64,
}

impl Alarm {
    /// The new rate as a multiple of the assumed one. Of a rig that is slower, as if the share that is waited
    /// for came now: silence says "slower", not "infinitely slow".
    pub fn ratio(self) -> f64 {
        let waited_for = if self.shares < self.expected { 1.0 } else { 0.0 };
        (self.shares + waited_for) / self.expected.max(0.001)
    }
}

impl Watch {
    /// Of a rate that was measured.
    pub fn new() -> Watch {
        Watch([Sum::default(); ALTERNATIVES.len()])
    }

    /// Of a rate that is only presumed: a third of the proof that it is wrong is given in advance, until the
    /// shares have taken it back (the fast initial response of Lucas and Crosier, 1982).
    pub fn suspicious() -> Watch {
        let mut watch = Watch::new();
        for (sum, alternative) in watch.0.iter_mut().zip(&ALTERNATIVES) {
            sum.evidence = alternative.proof / 3.0;
        }
        watch
    }

    /// Time passed in which so many shares were expected, and so many came.
    pub fn see(&mut self, shares: f64, expected: f64) -> Option<Alarm> {
        let (shares, expected) = (shares as f32, expected as f32);
        let mut alarm: Option<(f32, Sum)> = None;
        for (sum, alternative) in self.0.iter_mut().zip(&ALTERNATIVES) {
            sum.evidence += shares * alternative.log - (alternative.rate - 1.0) * expected;
            sum.shares += shares;
            sum.expected += expected;
            if sum.evidence <= 0.0 {
                *sum = Sum::default();
            }
            let beyond = sum.evidence - alternative.proof;
            if beyond >= 0.0 && alarm.is_none_or(|(other, _)| beyond > other) {
                alarm = Some((beyond, *sum));
            }
        }
        alarm.map(|(_, sum)| Alarm { shares: sum.shares.into(), expected: sum.expected.into() })
    }
}
