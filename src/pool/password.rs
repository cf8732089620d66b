//! Options that rigs are given in the password field, the one place of a rig's configuration that a pool may
//! fill with meaning. Never refuses a password: what is not understood is ignored, as `x` is.

use crate::coin::difficulty::Difficulty;

/// What the options of a password ask for. They are separated by commas, semicolons or spaces; where one is
/// given twice, the first that can be read counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PasswordOptions {
    /// `d=512`: the difficulty to start with, which is also the lowest ever given. Decimals are allowed.
    pub difficulty: Option<Difficulty>,
    /// `cb=2250`: the most bytes that a whole coinbase may have for this rig, above 0; see
    /// [`CoinbaseClass::within`](super::firmware::CoinbaseClass::within).
    pub coinbase_bytes: Option<u32>,
}

impl PasswordOptions {
    /// Reads a password.
    pub fn parse(password: &str) -> PasswordOptions {
        let mut options = PasswordOptions::default();
        for option in password.split([',', ';', ' ', '\t']) {
            let Some((name, value)) = option.split_once('=') else { continue };
            match name {
                "d" => options.difficulty = options.difficulty.or_else(|| Difficulty::from_f64(value.parse().ok()?)),
                "cb" => {
                    let bytes = value.parse().ok().filter(|bytes| *bytes > 0);
                    options.coinbase_bytes = options.coinbase_bytes.or(bytes);
                }
                _ => {}
            }
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(password: &str, units: Option<u64>, coinbase_bytes: Option<u32>) {
        let options = PasswordOptions::parse(password);
        let read = (options.difficulty.map(Difficulty::units), options.coinbase_bytes);
        assert_eq!(read, (units, coinbase_bytes), "{password:?}");
    }

    #[test]
    fn a_password_may_ask_for_a_difficulty_and_a_size_of_the_coinbase() {
        case("d=512", Some(512 * 65_536), None);
        case("d=0.5", Some(32_768), None);
        case("cb=2250", None, Some(2_250));
        case("d=0.5,cb=500", Some(32_768), Some(500));
        case("x, cb=16000 ; d=1e3,y", Some(65_536_000), Some(16_000));
    }

    #[test]
    fn the_first_option_that_can_be_read_counts() {
        case("d=,d=1,d=2", Some(65_536), None);
        case("cb=none cb=500 cb=755", None, Some(500));
    }

    #[test]
    fn whatever_else_stands_in_a_password_is_ignored() {
        for password in ["", "x", "123", ",,;= ", "d", "d=", "d=-1", "d=nan", "d=0", "d=inf", "D=1", "md=1", "p==d=1"] {
            case(password, None, None);
        }
        for password in ["cb=", "cb=0", "cb=-5", "cb=5000000000", "cb=1.5", "CB=500", "acb=500"] {
            case(password, None, None);
        }
    }
}
