//! Difficulty, target and work as exact integers. A float is only read from a miner or an operator, once, and
//! rounded to a unit there; what is announced is exactly what is enforced.

use super::{params::Algorithm, uint::U256};
use crate::base::Hash32;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Units in difficulty 1.
const UNITS: u64 = 65_536;

/// A share difficulty: a whole, positive number of units, 65,536 of which are difficulty 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Difficulty(u64);

impl Difficulty {
    /// Difficulty 1: 65,536 hashes of scrypt, 2^32 of sha256d.
    pub const ONE: Difficulty = Difficulty(UNITS);
    /// One unit, the easiest there is.
    pub const MIN: Difficulty = Difficulty(1);

    /// `None` for 0.
    pub const fn from_units(units: u64) -> Option<Difficulty> {
        if units == 0 { None } else { Some(Difficulty(units)) }
    }

    /// The difficulty in units.
    pub const fn units(self) -> u64 {
        self.0
    }

    /// The nearest whole number of units to a difficulty as people write it, at least one. `None` for what is not
    /// a number, not positive, or too large.
    pub fn from_f64(difficulty: f64) -> Option<Difficulty> {
        let units = (difficulty * UNITS as f64).round();
        // Written so that NaN, which compares with nothing, is refused too.
        (difficulty > 0.0 && units < 2f64.powi(64)).then(|| Difficulty((units as u64).max(1)))
    }

    /// For display only.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / UNITS as f64
    }

    /// What a share's hash must not exceed.
    pub fn target(self, algorithm: Algorithm) -> Target {
        Target(algorithm.unit_target().div_u64(self.0))
    }

    /// The work of a share of this difficulty, in units.
    pub const fn work(self) -> u64 {
        self.0
    }

    /// The difficulty that a target has in the unit that miners are told: rounded down, at least one unit.
    pub fn of_target(target: Target, algorithm: Algorithm) -> Difficulty {
        let quotient = algorithm.unit_target().checked_div(target.0).expect("a target is never zero");
        Difficulty(quotient.to_u64().unwrap_or(u64::MAX).max(1))
    }
}

impl TryFrom<u64> for Difficulty {
    type Error = &'static str;

    fn try_from(units: u64) -> Result<Difficulty, &'static str> {
        Difficulty::from_units(units).ok_or("a difficulty is never zero")
    }
}

impl From<Difficulty> for u64 {
    fn from(difficulty: Difficulty) -> u64 {
        difficulty.0
    }
}

/// The exact decimal, which is also a JSON number: `2`, `0.5`, `0.0001068115234375`.
impl fmt::Display for Difficulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A fraction of 2^16 has at most 16 decimals: n / 2^16 = n * 5^16 / 10^16.
        let fraction = (self.0 % UNITS) * 5u64.pow(16);
        write!(f, "{}", self.0 / UNITS)?;
        if fraction == 0 {
            return Ok(());
        }
        write!(f, ".{}", format!("{fraction:016}").trim_end_matches('0'))
    }
}

/// What a proof-of-work hash must not exceed. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target(U256);

impl Target {
    /// `None` for 0, which no hash of interest meets and no difficulty belongs to.
    pub fn new(value: U256) -> Option<Target> {
        (value != U256::ZERO).then_some(Target(value))
    }

    /// From a header's `bits`: one byte of exponent, three of mantissa. `None` where nodes refuse it: negative, zero
    /// or above 256 bits.
    pub fn from_compact(bits: u32) -> Option<Target> {
        let (exponent, mantissa) = (bits >> 24, bits & 0x007f_ffff);
        if bits & 0x0080_0000 != 0 {
            return None;
        }
        let mantissa = U256::from_u64(u64::from(mantissa));
        if exponent <= 3 {
            return Target::new(mantissa >> (8 * (3 - exponent)));
        }
        let by = 8 * (exponent - 3);
        (mantissa.bits() + by <= 256).then(|| mantissa << by).and_then(Target::new)
    }

    /// The `bits` of a header, rounding the target down to what three bytes can say.
    pub fn to_compact(self) -> u32 {
        let mut exponent = self.0.bits().div_ceil(8);
        let shifted = if exponent <= 3 { self.0 << (8 * (3 - exponent)) } else { self.0 >> (8 * (exponent - 3)) };
        let mut mantissa = shifted.to_u64().expect("three bytes are left of the target") as u32;
        // The mantissa's highest bit is a sign.
        if mantissa & 0x0080_0000 != 0 {
            mantissa >>= 8;
            exponent += 1;
        }
        exponent << 24 | mantissa
    }

    /// The target as a number.
    pub const fn value(self) -> U256 {
        self.0
    }

    /// Whether a hash (internal byte order) is small enough.
    pub fn is_met_by(&self, pow: &Hash32) -> bool {
        U256::from_le_bytes(pow) <= self.0
    }

    /// Hashes it takes on average to meet it: 2^256 / (target + 1), as nodes count chain work.
    pub fn expected_hashes(self) -> U256 {
        let Some(divisor) = self.0.checked_add(U256::ONE) else { return U256::ONE };
        // 2^256 doesn't fit; (2^256 − divisor) / divisor + 1 is the same number.
        let rest = U256::MAX.checked_sub(self.0).expect("nothing exceeds the maximum");
        let quotient = rest.checked_div(divisor).expect("the divisor is at least one");
        quotient.checked_add(U256::ONE).expect("a target is at least one, so the quotient is below 2^255")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn difficulties_are_rounded_once_and_printed_exactly() {
        let cases = [
            (1.0, 65_536, "1"),
            (2.0, 131_072, "2"),
            (0.5, 32_768, "0.5"),
            (0.0001, 7, "0.0001068115234375"),
            (1e-30, 1, "0.0000152587890625"),
            (1.00001, 65_537, "1.0000152587890625"),
            (1e9, 65_536_000_000_000, "1000000000"),
        ];
        for (difficulty, units, text) in cases {
            let parsed = Difficulty::from_f64(difficulty).unwrap();
            assert_eq!((parsed.units(), parsed.to_string().as_str()), (units, text));
        }
        for refused in [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2f64.powi(48)] {
            assert_eq!(Difficulty::from_f64(refused), None, "{refused}");
        }
    }

    #[track_caller]
    fn compact(bits: u32, expected: Option<&str>) {
        let target = Target::from_compact(bits).map(|target| format!("{:?}", target.value()));
        let expected = expected.map(|short| format!("0x{short:0>64}"));
        assert_eq!(target, expected, "{bits:08x}");
    }

    #[test]
    fn compact_targets_are_read_as_bitcoin_core_reads_them() {
        // The cases of Bitcoin Core's arith_uint256 tests.
        compact(0, None);
        compact(0x0012_3456, None);
        compact(0x0100_3456, None);
        compact(0x0112_3456, Some("12"));
        compact(0x0200_8000, Some("80"));
        compact(0x0500_9234, Some("92340000"));
        compact(0x0492_3456, None);
        compact(0x0412_3456, Some("12345600"));
        compact(0x2012_3456, Some(&format!("123456{}", "0".repeat(58))));
        compact(0xff12_3456, None);
        compact(0x2200_0001, Some(&format!("1{}", "0".repeat(62))));
        compact(0x2100_ffff, Some(&format!("ffff{}", "0".repeat(60))));
        compact(0x2200_0100, None);
        compact(0x1d00_ffff, Some(&format!("ffff{}", "0".repeat(52))));
    }

    #[test]
    fn difficulty_one_of_bitcoin_is_its_first_target() {
        let target = Target::from_compact(0x1d00_ffff).unwrap();
        assert_eq!(Difficulty::of_target(target, Algorithm::Sha256d), Difficulty::ONE);
        assert_eq!(Difficulty::ONE.target(Algorithm::Sha256d), target);
        assert_eq!(target.expected_hashes(), U256::from_u64(0x1_0001_0001));
        // A regtest target is easier than one unit of either algorithm.
        let easiest = Target::from_compact(0x207f_ffff).unwrap();
        assert_eq!(easiest.expected_hashes(), U256::from_u64(2));
        assert_eq!(Difficulty::of_target(easiest, Algorithm::Sha256d), Difficulty::MIN);
        assert_eq!(
            Difficulty::of_target(Target::from_compact(1 << 16 | 1 << 24).unwrap(), Algorithm::Scrypt).units(),
            u64::MAX
        );
    }

    #[test]
    fn a_hash_meets_a_target_up_to_equality() {
        let target = Target::new(U256::from_u64(0x1234)).unwrap();
        assert!(target.is_met_by(&U256::from_u64(0x1234).to_le_bytes()));
        assert!(!target.is_met_by(&U256::from_u64(0x1235).to_le_bytes()));
        assert!(!target.is_met_by(&(U256::ONE << 255).to_le_bytes()));
    }

    proptest! {
        #[test]
        fn compact_targets_go_there_and_back(mantissa in 0x8000..0x80_0000u32, exponent in 3..=32u32) {
            let bits = exponent << 24 | mantissa;
            prop_assert_eq!(Target::from_compact(bits).unwrap().to_compact(), bits);
        }

        #[test]
        fn a_target_leads_back_to_its_difficulty(units in 1..=u64::MAX) {
            let difficulty = Difficulty::from_units(units).unwrap();
            for algorithm in [Algorithm::Scrypt, Algorithm::Sha256d] {
                prop_assert_eq!(Difficulty::of_target(difficulty.target(algorithm), algorithm), difficulty);
            }
        }

        #[test]
        fn what_is_printed_is_what_is_enforced(units in 1..1u64 << 53) {
            let difficulty = Difficulty::from_units(units).unwrap();
            let read: f64 = difficulty.to_string().parse().unwrap();
            prop_assert_eq!(Difficulty::from_f64(read), Some(difficulty));
        }
    }
}
