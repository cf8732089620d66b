//! Who is credited for a share: an output script of the parent chain, and those that the rig names for chains that are
//! merge-mined with it. Most rigs name none, and are the output script alone. Stratum knows no passwords: anybody may
//! work for any address. So what a rig names holds for its own work only, never for what others did for the same
//! address.

use serde::{Deserialize, Serialize};

use crate::coin::script::Script;

/// What the record of an identity that is more than a script begins with. No script of an address does.
const COMPOSED: u8 = 0xff;

/// See the module. Ordered by the parent's script, the one that names nothing first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    script: Script,
    named: Vec<(u8, Script)>,
}

impl Identity {
    /// Paid at `script` on the parent chain, and on each named chain (by its index in the pool) at the script beside
    /// it. Of several for one chain the first counts.
    pub fn new(script: Script, mut named: Vec<(u8, Script)>) -> Identity {
        named.sort_by_key(|(chain, _)| *chain);
        named.dedup_by_key(|(chain, _)| *chain);
        Identity { script, named }
    }

    /// Where the parent chain pays.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// The script that was named for a merge-mined chain.
    pub fn named(&self, chain: u8) -> Option<&Script> {
        self.named.iter().find(|(of, _)| *of == chain).map(|(_, script)| script)
    }

    /// Whether it is the parent's script and nothing more.
    pub fn is_plain(&self) -> bool {
        self.named.is_empty()
    }

    /// As it is written in the registry: the script alone where there is no more.
    pub fn to_bytes(&self) -> Vec<u8> {
        if self.is_plain() {
            return self.script.as_bytes().to_vec();
        }
        let body = postcard::to_allocvec(self).expect("everything in it has a length that is known");
        [&[COMPOSED], body.as_slice()].concat()
    }

    /// Reads what [`Identity::to_bytes`] wrote; `None` for what it never writes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Identity> {
        let Some(body) = bytes.strip_prefix(&[COMPOSED]) else {
            return Some(Script::from_bytes(bytes.to_vec()).into());
        };
        let identity: Identity = postcard::from_bytes(body).ok()?;
        let is_in_order = identity.named.windows(2).all(|pair| pair[0].0 < pair[1].0);
        (is_in_order && !identity.is_plain()).then_some(identity)
    }
}

impl From<Script> for Identity {
    fn from(script: Script) -> Identity {
        Identity { script, named: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_back_and_one_that_names_nothing_is_its_script() {
        let (parent, child) = (Script::p2pkh(&[1; 20]), Script::p2sh(&[2; 20]));
        let plain = Identity::from(parent.clone());
        assert_eq!(plain.to_bytes(), parent.as_bytes());
        let named = Identity::new(parent.clone(), vec![(2, parent.clone()), (1, child.clone()), (1, parent.clone())]);
        assert_eq!((named.named(1), named.named(2), named.named(3)), (Some(&child), Some(&parent), None));
        for identity in [plain, named.clone()] {
            assert_eq!(Identity::from_bytes(&identity.to_bytes()), Some(identity));
        }
        assert!(Identity::from(parent) < named);
        let bytes = named.to_bytes();
        assert_eq!(Identity::from_bytes(&bytes[..bytes.len() - 1]), None);
    }
}
