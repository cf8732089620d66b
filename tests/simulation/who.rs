//! Whose work a username means, read without the pool's code: where it is paid on the parent chain and on the
//! merge-mined one, and what an id of the registry stands for.

use bech32::primitives::decode::SegwitHrpstring;

/// Two scripts at most: that of the parent chain, and one that was named for the child's, unless it is the one that the
/// parent's stands for there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    pub parent: Vec<u8>,
    pub named: Option<Vec<u8>>,
}

/// Whose account: of who is paid at a script, or of who is owed, known by a script of the parent chain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Payee {
    At(Vec<u8>),
    Owed(Vec<u8>),
}

impl Identity {
    /// `ADDRESS[,CHILD].worker`, or `ADDRESS/ID:CHILD.worker`.
    pub fn of_username(text: &str) -> Identity {
        let (head, _) = text.split_once('.').unwrap_or((text, ""));
        let mut scripts = head.split([',', '/']).map(|part| script_of(part.rsplit(':').next().unwrap()));
        let parent = scripts.next().unwrap();
        let named = scripts.next().filter(|named| carried(&parent).as_ref() != Some(named));
        Identity { parent, named }
    }

    /// What the ledger wrote: a script, or 0xff and two of them.
    pub fn of_record(bytes: &[u8]) -> Identity {
        let Some(mut rest) = bytes.strip_prefix(&[0xff]) else {
            return Identity { parent: bytes.to_vec(), named: None };
        };
        let mut take = |what: &str| {
            let length = usize::from(rest[0]);
            assert!(length < 0x80, "{what} is short");
            let taken = rest[1..1 + length].to_vec();
            rest = &rest[1 + length..];
            taken
        };
        let parent = take("a script");
        // One name, for the first merge-mined chain.
        assert_eq!(rest[..2], [1, 1]);
        rest = &rest[2..];
        let length = usize::from(rest[0]);
        assert_eq!(rest.len(), 1 + length);
        Identity { parent, named: Some(rest[1..].to_vec()) }
    }

    /// Whose account of a chain its work counts for.
    pub fn payee(&self, chain: usize) -> Payee {
        if chain == 0 {
            return Payee::At(self.parent.clone());
        }
        match self.named.clone().or_else(|| carried(&self.parent)) {
            Some(script) => Payee::At(script),
            None => Payee::Owed(self.parent.clone()),
        }
    }
}

/// What a script of a chain with segwit is on one without, where that is certain.
fn carried(script: &[u8]) -> Option<Vec<u8>> {
    match script {
        [0x76, 0xa9, 20, .., 0x88, 0xac] => Some(script.to_vec()),
        [0, 20, hash @ ..] => Some([&[0x76, 0xa9, 20], hash, &[0x88, 0xac]].concat()),
        _ => None,
    }
}

/// The output script of an address of these networks.
pub fn script_of(address: &str) -> Vec<u8> {
    if let Ok(segwit) = SegwitHrpstring::new(address) {
        let program: Vec<u8> = segwit.byte_iter().collect();
        let version = segwit.witness_version().to_u8();
        return [&[if version == 0 { 0 } else { 0x50 + version }, program.len() as u8], &program[..]].concat();
    }
    let payload = base58ck::decode_check(address).expect("it is one or the other");
    match payload[0] {
        111 => [&[0x76, 0xa9, 20], &payload[1..], &[0x88, 0xac]].concat(),
        58 | 196 => [&[0xa9, 20], &payload[1..], &[0x87]].concat(),
        other => panic!("{other} is no version of these networks"),
    }
}
