//! Amounts and percentages as people write them, to and from exact integers. Every coin here has eight
//! decimals: 1 LTC = 100,000,000 litoshi.

use std::fmt;

/// Base units in one whole coin.
pub const COIN: u64 = 100_000_000;
/// Parts per million in one whole: the unit of fees.
pub const MILLION: u32 = 1_000_000;

/// Why a number was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmountError {
    /// Not digits with at most one point.
    Malformed,
    /// More decimals than the unit has.
    TooPrecise,
    /// Above what the unit can hold.
    TooLarge,
}

impl fmt::Display for AmountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AmountError::Malformed => "is not a decimal number such as \"0.001\"",
            AmountError::TooPrecise => "has more decimals than can be represented",
            AmountError::TooLarge => "is too large",
        })
    }
}

impl std::error::Error for AmountError {}

/// Whole coins as a decimal string to base units: `"0.001"` is 100,000.
pub fn parse_amount(text: &str) -> Result<u64, AmountError> {
    parse_decimal(text, 8)
}

/// Base units as whole coins with all eight decimals: 100,000 is `"0.00100000"`.
pub fn format_amount(units: u64) -> String {
    format!("{}.{:08}", units / COIN, units % COIN)
}

/// As [`format_amount`] for a sum that may be negative (a balance).
pub fn format_signed(units: i64) -> String {
    let sign = if units < 0 { "-" } else { "" };
    format!("{sign}{}", format_amount(units.unsigned_abs()))
}

/// A percentage to parts per million: `"1.0"` is 10,000. At most 100.
pub fn parse_percent(text: &str) -> Result<u32, AmountError> {
    let ppm = parse_decimal(text, 4)?;
    u32::try_from(ppm).ok().filter(|ppm| *ppm <= MILLION).ok_or(AmountError::TooLarge)
}

/// Parts per million as a percentage without needless zeros: 10,000 is `"1.0"`, 12,500 is `"1.25"`.
pub fn format_percent(ppm: u32) -> String {
    let fraction = format!("{:04}", ppm % 10_000);
    let trimmed = fraction.trim_end_matches('0');
    format!("{}.{}", ppm / 10_000, if trimmed.is_empty() { "0" } else { trimmed })
}

fn parse_decimal(text: &str, decimals: usize) -> Result<u64, AmountError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || text.ends_with('.') {
        return Err(AmountError::Malformed);
    }
    if fraction.len() > decimals && fraction[decimals..].bytes().any(|byte| byte != b'0') {
        return Err(AmountError::TooPrecise);
    }
    let kept = &fraction[..fraction.len().min(decimals)];
    let digits = whole.bytes().chain(kept.bytes()).chain(std::iter::repeat_n(b'0', decimals - kept.len()));
    digits
        .into_iter()
        .try_fold(0u64, |sum, byte| sum.checked_mul(10)?.checked_add(u64::from(byte - b'0')))
        .ok_or(AmountError::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_are_read_exactly_or_refused() {
        let cases = [
            ("0", Ok(0)),
            ("0.001", Ok(100_000)),
            ("1", Ok(COIN)),
            ("84000000.00000001", Ok(8_400_000_000_000_001)),
            ("0.100000000", Ok(10_000_000)),
            ("0.000000001", Err(AmountError::TooPrecise)),
            ("184467440737.09551616", Err(AmountError::TooLarge)),
            ("", Err(AmountError::Malformed)),
            (".5", Err(AmountError::Malformed)),
            ("5.", Err(AmountError::Malformed)),
            ("-1", Err(AmountError::Malformed)),
            ("1e3", Err(AmountError::Malformed)),
            ("1.2.3", Err(AmountError::Malformed)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_amount(text), expected, "{text:?}");
        }
    }

    #[test]
    fn percentages_are_read_exactly_or_refused() {
        assert_eq!(parse_percent("1.0"), Ok(10_000));
        assert_eq!(parse_percent("100"), Ok(MILLION));
        assert_eq!(parse_percent("100.0001"), Err(AmountError::TooLarge));
        assert_eq!(parse_percent("0.00001"), Err(AmountError::TooPrecise));
        assert_eq!(format_percent(12_500), "1.25");
        assert_eq!(format_percent(10_000), "1.0");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(units in any::<u64>(), ppm in 0..=MILLION) {
            prop_assert_eq!(parse_amount(&format_amount(units)), Ok(units));
            prop_assert_eq!(parse_percent(&format_percent(ppm)), Ok(ppm));
        }
    }
}
