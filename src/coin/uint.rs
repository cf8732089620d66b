//! 256-bit unsigned integers: just what targets and work need. Never wraps silently: what can overflow says so.

use std::{
    fmt,
    ops::{Shl, Shr},
};

/// A 256-bit unsigned integer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct U256 {
    // Most significant first, so that the derived order is the numeric one.
    high: u128,
    low: u128,
}

impl U256 {
    /// Nothing.
    pub const ZERO: U256 = U256 { high: 0, low: 0 };
    /// One.
    pub const ONE: U256 = U256 { high: 0, low: 1 };
    /// 2^256 − 1.
    pub const MAX: U256 = U256 { high: u128::MAX, low: u128::MAX };

    /// `value`, widened.
    pub const fn from_u64(value: u64) -> U256 {
        U256 { high: 0, low: value as u128 }
    }

    /// `value`, widened.
    pub const fn from_u128(value: u128) -> U256 {
        U256 { high: 0, low: value }
    }

    /// From 32 bytes, least significant first: a hash in internal order as the number it is compared as.
    pub fn from_le_bytes(bytes: &[u8; 32]) -> U256 {
        let mut reversed = *bytes;
        reversed.reverse();
        U256::from_be_bytes(&reversed)
    }

    /// From 32 bytes, most significant first: a target as nodes print it.
    pub fn from_be_bytes(bytes: &[u8; 32]) -> U256 {
        let (mut high, mut low) = ([0; 16], [0; 16]);
        high.copy_from_slice(&bytes[..16]);
        low.copy_from_slice(&bytes[16..]);
        U256 { high: u128::from_be_bytes(high), low: u128::from_be_bytes(low) }
    }

    /// The inverse of [`U256::from_le_bytes`].
    pub fn to_le_bytes(self) -> [u8; 32] {
        let mut bytes = self.to_be_bytes();
        bytes.reverse();
        bytes
    }

    /// The inverse of [`U256::from_be_bytes`].
    pub fn to_be_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.high.to_be_bytes());
        bytes[16..].copy_from_slice(&self.low.to_be_bytes());
        bytes
    }

    /// As a u64, if it fits.
    pub fn to_u64(self) -> Option<u64> {
        if self.high == 0 { u64::try_from(self.low).ok() } else { None }
    }

    /// The nearest float or a neighbour of it: for display only.
    pub fn to_f64(self) -> f64 {
        self.high as f64 * 2f64.powi(128) + self.low as f64
    }

    /// Bits up to the highest that is set; 0 for zero.
    pub fn bits(self) -> u32 {
        if self.high == 0 { 128 - self.low.leading_zeros() } else { 256 - self.high.leading_zeros() }
    }

    /// The sum, unless it is above [`U256::MAX`].
    pub fn checked_add(self, other: U256) -> Option<U256> {
        let (low, carry) = self.low.overflowing_add(other.low);
        let high = self.high.checked_add(other.high)?.checked_add(u128::from(carry))?;
        Some(U256 { high, low })
    }

    /// The difference, unless it is below zero.
    pub fn checked_sub(self, other: U256) -> Option<U256> {
        let (low, borrow) = self.low.overflowing_sub(other.low);
        let high = self.high.checked_sub(other.high)?.checked_sub(u128::from(borrow))?;
        Some(U256 { high, low })
    }

    /// The product, unless it is above [`U256::MAX`].
    pub fn mul_u64(self, factor: u64) -> Option<U256> {
        let mut carry = 0;
        let mut limbs = self.limbs();
        for limb in &mut limbs {
            let product = u128::from(*limb) * u128::from(factor) + carry;
            *limb = product as u64;
            carry = product >> 64;
        }
        (carry == 0).then(|| U256::from_limbs(limbs))
    }

    /// The quotient, rounded down. Panics when `divisor` is 0.
    pub fn div_u64(self, divisor: u64) -> U256 {
        let mut remainder = 0u128;
        let mut limbs = self.limbs();
        for limb in limbs.iter_mut().rev() {
            let part = remainder << 64 | u128::from(*limb);
            *limb = (part / u128::from(divisor)) as u64;
            remainder = part % u128::from(divisor);
        }
        U256::from_limbs(limbs)
    }

    /// The quotient, rounded down; `None` when `divisor` is zero.
    pub fn checked_div(self, divisor: U256) -> Option<U256> {
        if divisor == U256::ZERO {
            return None;
        }
        let (mut remainder, mut quotient) = (self, U256::ZERO);
        let mut shift = self.bits().saturating_sub(divisor.bits());
        loop {
            if let Some(less) = remainder.checked_sub(divisor << shift) {
                remainder = less;
                quotient = quotient.checked_add(U256::ONE << shift).expect("each bit of a quotient is set once");
            }
            if shift == 0 {
                return Some(quotient);
            }
            shift -= 1;
        }
    }

    /// Four 64-bit digits, least significant first.
    fn limbs(self) -> [u64; 4] {
        [self.low as u64, (self.low >> 64) as u64, self.high as u64, (self.high >> 64) as u64]
    }

    fn from_limbs(limbs: [u64; 4]) -> U256 {
        let pair = |low: u64, high: u64| u128::from(high) << 64 | u128::from(low);
        U256 { high: pair(limbs[2], limbs[3]), low: pair(limbs[0], limbs[1]) }
    }
}

/// Towards the most significant end; bits beyond the 256th are lost.
impl Shl<u32> for U256 {
    type Output = U256;

    fn shl(self, by: u32) -> U256 {
        match by {
            0 => self,
            1..128 => U256 { high: self.high << by | self.low >> (128 - by), low: self.low << by },
            128..256 => U256 { high: self.low << (by - 128), low: 0 },
            _ => U256::ZERO,
        }
    }
}

/// Towards the least significant end.
impl Shr<u32> for U256 {
    type Output = U256;

    fn shr(self, by: u32) -> U256 {
        match by {
            0 => self,
            1..128 => U256 { high: self.high >> by, low: self.low >> by | self.high << (128 - by) },
            128..256 => U256 { high: 0, low: self.high >> (by - 128) },
            _ => U256::ZERO,
        }
    }
}

impl fmt::Debug for U256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:032x}{:032x}", self.high, self.low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_u256() -> impl Strategy<Value = U256> {
        (any::<u128>(), any::<u128>(), 0..=256u32).prop_map(|(high, low, by)| U256 { high, low } >> by)
    }

    #[test]
    fn the_edges_are_refused_and_not_wrapped() {
        assert_eq!(U256::MAX.checked_add(U256::ONE), None);
        assert_eq!(U256::ZERO.checked_sub(U256::ONE), None);
        assert_eq!(U256::MAX.mul_u64(2), None);
        assert_eq!(U256::ONE.checked_div(U256::ZERO), None);
        assert_eq!(U256::MAX.checked_div(U256::MAX), Some(U256::ONE));
        assert_eq!(U256::MAX.bits(), 256);
        assert_eq!(U256::MAX.to_f64(), 2f64.powi(256));
    }

    proptest! {
        #[test]
        fn small_numbers_agree_with_u128(a in any::<u128>(), b in 1..=u128::MAX, c in 1..=u64::MAX) {
            let wide = U256::from_u128(a);
            prop_assert_eq!(wide.checked_div(U256::from_u128(b)), Some(U256::from_u128(a / b)));
            prop_assert_eq!(wide.div_u64(c), U256::from_u128(a / u128::from(c)));
            let factor = (a >> 64) as u64;
            prop_assert_eq!(U256::from_u64(c).mul_u64(factor), Some(U256::from_u128(u128::from(c) * u128::from(factor))));
            prop_assert_eq!(wide < U256::from_u128(b), a < b);
        }

        #[test]
        fn a_quotient_is_the_largest_number_whose_product_fits(a in any_u256(), divisor in 1..=u64::MAX) {
            let quotient = a.div_u64(divisor);
            prop_assert_eq!(a.checked_div(U256::from_u64(divisor)), Some(quotient));
            let product = quotient.mul_u64(divisor).unwrap();
            let remainder = a.checked_sub(product).unwrap();
            prop_assert!(remainder < U256::from_u64(divisor));
        }

        #[test]
        fn shifting_multiplies_and_divides_by_powers_of_two(a in any_u256(), by in 0..64u32) {
            prop_assert_eq!(a >> by, a.div_u64(1 << by));
            if let Some(product) = a.mul_u64(1 << by) {
                prop_assert_eq!(a << by, product);
            }
        }

        #[test]
        fn bytes_and_sums_go_there_and_back(a in any_u256(), b in any_u256()) {
            prop_assert_eq!(U256::from_le_bytes(&a.to_le_bytes()), a);
            prop_assert_eq!(U256::from_be_bytes(&a.to_be_bytes()), a);
            prop_assert_eq!(a.cmp(&b), a.to_be_bytes().cmp(&b.to_be_bytes()));
            if let Some(sum) = a.checked_add(b) {
                prop_assert_eq!(sum.checked_sub(b), Some(a));
            }
        }
    }
}
