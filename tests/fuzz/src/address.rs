//! Addresses that rigs and operators write.

use edgepool::coin::address::{encode, parse, rederive};
use edgepool::coin::params::COINS;

/// An address that is taken can be written, and stands for the same script then.
pub fn address(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for coin in COINS {
        for network in coin.networks {
            let Ok(address) = parse(text, coin, network) else { continue };
            let written = encode(&address.script, coin, network).expect("what was read can be written");
            let again = parse(&written, coin, network).expect("what was written can be read");
            assert_eq!((again.kind, again.script), (address.kind, address.script.clone()));
            for other in COINS {
                for network in other.networks {
                    if let Some(script) = rederive(&address.script, (other, network)) {
                        assert!(encode(&script, other, network).is_some());
                    }
                }
            }
        }
    }
}
