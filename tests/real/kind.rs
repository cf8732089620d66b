//! The two nodes that tests run, and what they differ in: one row each. Starts nothing.

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::place::base;
use crate::proof_of_work::ProofOfWork;

/// One program that is a coin's node.
#[derive(Debug)]
pub struct Kind {
    /// The program's name.
    pub name: &'static str,
    /// The coin's name in a configuration.
    pub coin: &'static str,
    /// The name that tests give a pool of it.
    pub pool: &'static str,
    pub proof_of_work: ProofOfWork,
    /// The `rules` that it wants in a request for a template.
    pub rules: &'static [&'static str],
    /// Arguments that the other one does not know, or does not need.
    pub arguments: &'static [&'static str],
    /// Whether it gives templates on regtest only while it has a peer.
    pub needs_peer: bool,
    /// Where the program may be; the first that is there is taken.
    places: fn() -> Vec<PathBuf>,
    version: OnceLock<String>,
}

/// Litecoin Core, as Debian has it.
pub static LITECOIND: Kind = Kind {
    name: "litecoind",
    coin: "litecoin",
    pool: "ltc",
    proof_of_work: ProofOfWork::Scrypt,
    rules: &["mweb", "segwit"],
    arguments: &["-upnp=0"],
    needs_peer: true,
    // Debian's wrapper at `/usr/bin/litecoind` only adds options; the program itself is preferred.
    places: || ["/usr/lib/litecoin/litecoind", "/usr/bin/litecoind"].map(PathBuf::from).to_vec(),
    version: OnceLock::new(),
};

/// Bitcoin Knots, as `tests/bitcoind` unpacks it, or whatever `EDGEPOOL_BITCOIND` names.
pub static BITCOIND: Kind = Kind {
    name: "bitcoind",
    coin: "bitcoin",
    pool: "btc",
    proof_of_work: ProofOfWork::Sha256d,
    rules: &["segwit"],
    // Its wallet would otherwise sync the disk several times for every block.
    arguments: &["-natpmp=0", "-fixedseeds=0", "-unsafesqlitesync"],
    needs_peer: false,
    places: || {
        let named = env::var_os("EDGEPOOL_BITCOIND").map(PathBuf::from);
        named.into_iter().chain([target().join("bitcoind/bitcoind")]).collect()
    },
    version: OnceLock::new(),
};

impl Kind {
    /// The program, if it is there.
    pub fn find(&self) -> Option<PathBuf> {
        (self.places)().into_iter().find(|path| path.exists())
    }

    /// The program, which must be there.
    pub fn program(&self) -> PathBuf {
        self.find().unwrap_or_else(|| panic!("this test needs {}: tests/run installs it", self.name))
    }

    /// Whether tests of this node can run. Where not, that is said past the test runner's capture: nobody shall take a
    /// test that did nothing for one that passed.
    pub fn is_here(&self, test: &str) -> bool {
        if self.find().is_some() {
            return true;
        }
        let why = fs::read_to_string(target().join("bitcoind.missing"));
        let why = why.unwrap_or_else(|_| "tests/bitcoind was not run".to_owned());
        let line = format!("\nSKIPPED {test}: there is no {}: {}\n", self.name, why.trim());
        std::io::stderr().write_all(line.as_bytes()).expect("stderr can be written");
        false
    }

    /// The program's version, as it says it.
    pub fn version(&self) -> &str {
        self.version.get_or_init(|| {
            let output = Command::new(self.program()).arg("-version").output().expect("the node can be started");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.lines().next().unwrap_or_default().rsplit(' ').next().unwrap_or_default().to_owned()
        })
    }
}

/// The folder that everything is built into.
fn target() -> PathBuf {
    base().parent().expect("the temporary folder is in the target's").to_owned()
}

/// Makes a test of a function that takes a node, once for each node, each on a chain with coins to spend. The one of
/// bitcoind is skipped aloud where there is none.
macro_rules! on_each_node {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use crate::chain::Chain;
            use crate::kind::BITCOIND;
            use crate::node::Node;

            #[test]
            fn on_litecoind() {
                super::$name(Node::start(Chain::Mweb));
            }

            #[test]
            fn on_bitcoind() {
                if BITCOIND.is_here(concat!(stringify!($name), " on bitcoind")) {
                    super::$name(Node::start(Chain::Bitcoin));
                }
            }
        }
    )+};
}
pub(crate) use on_each_node;
