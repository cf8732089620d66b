//! Work as a rig reads it from `mining.notify`, and the search for a share, with no code of the pool's.

use bitcoin_hashes::sha256d;
use serde_json::Value;

pub struct Job {
    pub id: String,
    pub version: u32,
    pub ntime: u32,
    /// The time as it was sent: rigs send it back as it came.
    pub ntime_text: String,
    pub clean: bool,
    prev_hash: Vec<u8>,
    first: Vec<u8>,
    second: Vec<u8>,
    branch: Vec<Vec<u8>>,
    bits: u32,
}

/// What a search looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    Share,
    TooEasy,
}

impl Job {
    /// Reads the parameters as strictly as all clients together: minerd's lengths, cgminer's printable job name and
    /// hexadecimal digits, ESP-Miner's flag in the last place.
    #[track_caller]
    pub fn read(params: &Value) -> Job {
        let text = |index: usize| params[index].as_str().unwrap_or_else(|| panic!("parameter {index} is a text"));
        let bytes = |index: usize| hex::decode(text(index)).expect("hexadecimal, whole bytes");
        let word = |index: usize| {
            assert_eq!(text(index).len(), 8, "parameter {index}");
            u32::from_str_radix(text(index), 16).expect("hexadecimal")
        };
        let id = text(0);
        assert!((1..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()), "{id:?}");
        assert_eq!(text(1).len(), 64);
        let branch: Vec<Vec<u8>> =
            params[4].as_array().unwrap().iter().map(|node| hex::decode(node.as_str().unwrap()).unwrap()).collect();
        assert!(branch.iter().all(|node| node.len() == 32) && branch.len() <= 30);
        let list = params.as_array().unwrap();
        assert_eq!(list.len(), 9);
        let clean = list[8].as_bool().expect("true or false in the last place");
        // Four bytes at a time, as rigs swap it.
        let prev_hash = bytes(1).chunks(4).flat_map(|word| word.iter().rev().copied().collect::<Vec<u8>>()).collect();
        Job {
            id: id.to_string(),
            version: word(5),
            ntime: word(7),
            ntime_text: text(7).to_string(),
            clean,
            prev_hash,
            first: bytes(2),
            second: bytes(3),
            branch,
            bits: word(6),
        }
    }

    /// Bytes of the whole coinbase, as rigs limit it.
    pub fn coinbase_len(&self, extranonce_len: usize) -> usize {
        self.first.len() + extranonce_len + self.second.len()
    }

    /// Searches a nonce. `rolled`: version bits beside the job's.
    pub fn mine(&self, coin: &str, extranonce: &[u8], difficulty: f64, rolled: u32, want: Want) -> u32 {
        let hash = |data: &[u8]| sha256d::Hash::hash(data).to_byte_array();
        let coinbase = [&self.first[..], extranonce, &self.second].concat();
        let root = self.branch.iter().fold(hash(&coinbase), |root, node| hash(&[&root[..], node].concat()));
        let version = (self.version | rolled).to_le_bytes();
        let mut header = [&version[..], &self.prev_hash, &root, &[0; 12]].concat();
        header[68..72].copy_from_slice(&self.ntime.to_le_bytes());
        header[72..76].copy_from_slice(&self.bits.to_le_bytes());
        // The upper half of the target: difficulty 1 is 0xffff * 2^208 for sha256d, 2^16 times that for scrypt.
        let of_unit: u128 = if coin == "bitcoin" { 0xffff << 96 } else { 0xffff << 112 };
        let target = of_unit / (difficulty * 65_536.0) as u128;
        for nonce in 0..20_000_000u32 {
            header[76..80].copy_from_slice(&nonce.to_le_bytes());
            let pow = if coin == "bitcoin" { hash(&header) } else { scrypt(&header) };
            let upper = u128::from_le_bytes(pow[16..].try_into().unwrap());
            if (upper < target) == (want == Want::Share) {
                return nonce;
            }
        }
        panic!("no header is a {want:?} at {difficulty}");
    }
}

fn scrypt(header: &[u8]) -> [u8; 32] {
    let mut pow = [0; 32];
    scrypt::scrypt(header, header, &scrypt::Params::new(10, 1, 1).unwrap(), &mut pow).unwrap();
    pow
}
