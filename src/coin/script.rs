//! Output scripts of the standard kinds. Never runs a script.

use serde::{Deserialize, Serialize};

/// An output script, ordered by its bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Script(Vec<u8>);

const OP_PUSHDATA1: u8 = 0x4c;
const OP_PUSHDATA2: u8 = 0x4d;
const OP_PUSHDATA4: u8 = 0x4e;
const OP_1: u8 = 0x51;
const OP_16: u8 = 0x60;
const OP_DUP: u8 = 0x76;
const OP_EQUAL: u8 = 0x87;
const OP_EQUALVERIFY: u8 = 0x88;
const OP_HASH160: u8 = 0xa9;
const OP_CHECKSIG: u8 = 0xac;
const OP_CHECKSIGVERIFY: u8 = 0xad;
const OP_CHECKMULTISIG: u8 = 0xae;
const OP_CHECKMULTISIGVERIFY: u8 = 0xaf;

impl Script {
    /// Any bytes, as a script.
    pub fn from_bytes(bytes: Vec<u8>) -> Script {
        Script(bytes)
    }

    /// The script as it is serialised, without its length.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Pays whoever has the key whose hash160 this is.
    pub fn p2pkh(hash: &[u8; 20]) -> Script {
        Script([&[OP_DUP, OP_HASH160, 20], hash.as_slice(), &[OP_EQUALVERIFY, OP_CHECKSIG]].concat())
    }

    /// Pays whoever satisfies the script whose hash160 this is (BIP 16).
    pub fn p2sh(hash: &[u8; 20]) -> Script {
        Script([&[OP_HASH160, 20], hash.as_slice(), &[OP_EQUAL]].concat())
    }

    /// Pays a witness program (BIP 141); `None` unless the version is at most 16 and the program 2 to 40 bytes, 20 or
    /// 32 for version 0.
    pub fn witness(version: u8, program: &[u8]) -> Option<Script> {
        let length = u8::try_from(program.len()).ok().filter(|length| (2..=40).contains(length))?;
        if version > 16 || (version == 0 && length != 20 && length != 32) {
            return None;
        }
        let opcode = if version == 0 { 0 } else { OP_1 + version - 1 };
        Some(Script([&[opcode, length], program].concat()))
    }

    /// The key hash, if this is pay-to-public-key-hash.
    pub fn p2pkh_hash(&self) -> Option<[u8; 20]> {
        let inner = self.0.strip_prefix(&[OP_DUP, OP_HASH160, 20])?;
        inner.strip_suffix(&[OP_EQUALVERIFY, OP_CHECKSIG])?.try_into().ok()
    }

    /// The script hash, if this is pay-to-script-hash.
    pub fn p2sh_hash(&self) -> Option<[u8; 20]> {
        self.0.strip_prefix(&[OP_HASH160, 20])?.strip_suffix(&[OP_EQUAL])?.try_into().ok()
    }

    /// Version and program, if this is a witness program.
    pub fn witness_program(&self) -> Option<(u8, &[u8])> {
        let [opcode, length, program @ ..] = self.0.as_slice() else { return None };
        let version = match *opcode {
            0 => 0,
            OP_1..=OP_16 => opcode - OP_1 + 1,
            _ => return None,
        };
        let sized = usize::from(*length) == program.len() && (2..=40).contains(length);
        (sized && (version != 0 || matches!(length, 20 | 32))).then_some((version, program))
    }
}

/// Signature operations that nodes count in a script towards a block's limit, before any scaling: CHECKSIG is one,
/// CHECKMULTISIG twenty, up to the first push that is cut off.
pub fn sigops(script: &[u8]) -> u64 {
    let mut rest = script;
    let mut count = 0;
    while let Some((&opcode, after)) = rest.split_first() {
        let width = match opcode {
            OP_PUSHDATA1 => 1,
            OP_PUSHDATA2 => 2,
            OP_PUSHDATA4 => 4,
            _ => 0,
        };
        let Some((length, after)) = after.split_at_checked(width) else { return count };
        let push = match opcode {
            0..OP_PUSHDATA1 => usize::from(opcode),
            _ => length.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        };
        let Some((_, after)) = after.split_at_checked(push) else { return count };
        count += match opcode {
            OP_CHECKSIG | OP_CHECKSIGVERIFY => 1,
            OP_CHECKMULTISIG | OP_CHECKMULTISIGVERIFY => 20,
            _ => 0,
        };
        rest = after;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_recognised_as_itself_only() {
        let hash = [7; 20];
        let (p2pkh, p2sh) = (Script::p2pkh(&hash), Script::p2sh(&hash));
        assert_eq!((p2pkh.p2pkh_hash(), p2pkh.p2sh_hash(), p2pkh.witness_program()), (Some(hash), None, None));
        assert_eq!((p2sh.p2pkh_hash(), p2sh.p2sh_hash(), p2sh.witness_program()), (None, Some(hash), None));
        for (version, length) in [(0, 20), (0, 32), (1, 32), (16, 2), (2, 40)] {
            let program = vec![9; length];
            let script = Script::witness(version, &program).unwrap();
            assert_eq!(script.witness_program(), Some((version, program.as_slice())));
            assert_eq!((script.p2pkh_hash(), script.p2sh_hash()), (None, None));
        }
        for (version, length) in [(0, 2), (0, 40), (1, 1), (1, 41), (17, 32), (1, 300)] {
            assert_eq!(Script::witness(version, &vec![9; length]), None);
        }
        for other in ["", "00", "0014", "6a", "5103aabb", "00030a0b0c", "76a914"] {
            let script = Script::from_bytes(hex::decode(other).unwrap());
            assert_eq!((script.p2pkh_hash(), script.p2sh_hash(), script.witness_program()), (None, None, None));
        }
    }

    #[test]
    fn signature_operations_are_counted_outside_pushes_until_a_cut_push() {
        let cases = [
            ("", 0),
            ("ac", 1),
            ("adae", 21),
            ("01acac", 1),
            ("4c02acacaf", 20),
            ("4d0200acacac", 1),
            ("4e02000000acacac", 1),
            ("ac05acac", 1),
            ("ac4dff", 1),
            ("ac4effffffffac", 1),
        ];
        for (script, expected) in cases {
            assert_eq!(sigops(&hex::decode(script).unwrap()), expected, "{script}");
        }
        assert_eq!(sigops(Script::p2pkh(&[0xac; 20]).as_bytes()), 1);
        assert_eq!(sigops(Script::p2sh(&[0xac; 20]).as_bytes()), 0);
    }
}
