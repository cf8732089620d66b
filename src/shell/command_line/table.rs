//! The commands and their options, as the help shows them and as the words are checked against.

use std::fmt;

/// An option.
pub(super) struct Flag {
    pub(super) name: &'static str,
    /// What its value is called; empty when it takes none.
    pub(super) value: &'static str,
    pub(super) about: &'static str,
    /// Whether a command that has it can't do without it.
    pub(super) is_needed: bool,
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gap = if self.value.is_empty() { "" } else { " " };
        write!(f, "--{}{gap}{}", self.name, self.value)
    }
}

/// One that every command can do without.
const fn option(name: &'static str, value: &'static str, about: &'static str) -> Flag {
    Flag { name, value, about, is_needed: false }
}

/// A command as the help shows it and as the words are checked against.
pub(super) struct Entry {
    /// One word, or two where several commands share the first.
    pub(super) name: &'static str,
    /// What follows beside the options.
    pub(super) operands: &'static str,
    pub(super) flags: &'static [Flag],
    pub(super) about: &'static str,
    pub(super) more: &'static str,
}

pub(super) const CONFIG: Flag = option("config", "FILE", "the configuration (default /etc/edgepool/edgepool.json)");
pub(super) const SECONDS: Flag = option("seconds", "N", "end after so many seconds (default: at Ctrl-C)");
pub(super) const DATA_DIR: Flag = option("data-dir", "DIR", "keep the ledger here (default: removed at the end)");
pub(super) const MERGE: Flag = option("merge", "", "mine two more chains with the first, by the same hashes");
pub(super) const URL: Flag = option("url", "URL", "the pool's RPC port (default: the configuration's)");
pub(super) const TOKEN_FILE: Flag =
    option("token-file", "FILE", "the file of the admin token (default: the configuration's)");
pub(super) const LEDGER_DIR: Flag =
    option("data-dir", "DIR", "the directory that holds ledger/ (default: the configuration's)");
pub(super) const FROM: Flag =
    Flag { name: "from", value: "BACKUP", about: "a backup's directory, or an export", is_needed: true };
pub(super) const POOL: Flag = option("pool", "NAME", "only this pool (default: all)");
pub(super) const NODE: Flag = option("node", "", "compare with the chain, by the configuration's nodes");
pub(super) const LIVE_URL: Flag =
    option("url", "URL", "the running pool's RPC port (default: the configuration's, if it runs)");
pub(super) const BENCH_DIR: Flag =
    option("data-dir", "DIR", "measure on this directory's disk (default: the system's temp)");
pub(super) const COMMITS: Flag = option("commits", "N", "commits for each interval (default 3000)");
pub(super) const YEAR: Flag = option("year", "", "write a year of blocks instead, and say how large that is");
pub(super) const MINERS: Flag = option("miners", "N", "miners that work (default 1000)");
pub(super) const BLOCKS: Flag = option("blocks-per-day", "N", "blocks of the year's days (default 10)");
pub(super) const ROUNDS: Flag = option("rounds", "N", "how often each step has its turn (default 100)");
pub(super) const CONNECTIONS: Flag = option("connections", "N", "rigs that connect (default 5000)");
pub(super) const LOAD_SECONDS: Flag = option("seconds", "N", "how long shares are sent (default 10)");
pub(super) const SERVE: Flag = option("serve", "FILE", "run only the pool of this configuration, with easy shares");
pub(super) const SEEDS: Flag = option("seeds", "N", "rigs of each kind (default 200)");
pub(super) const TARGET_SHARE: Flag =
    option("target-share-s", "N", "the time between two shares that is aimed at (default 15)");

/// Every command, in the order of the help.
pub(super) const COMMANDS: &[Entry] = &[
    Entry {
        name: "run",
        operands: "",
        flags: &[CONFIG],
        about: "run the pool",
        more: "Logs to standard error; RUST_LOG sets how much. Ends at SIGTERM or Ctrl-C.",
    },
    Entry {
        name: "check",
        operands: "",
        flags: &[CONFIG],
        about: "check the configuration and show what would run",
        more: "Prints every mistake with its JSON path and exits with 2, or the values in effect and exits with 0. Warns\n\
               of cookie and password files that can't be read here, which is no mistake of the configuration.",
    },
    Entry {
        name: "board",
        operands: "",
        flags: &[CONFIG],
        about: "print the configuration's settings of the machine, for the scripts of the board image",
        more: "Lines of name=value: the object \"board\", also when something else is wrong, and where the pool listens and\n\
               keeps its data. Prints every mistake of the whole file like check, and exits with 2 if there is one.",
    },
    Entry {
        name: "demo",
        operands: "",
        flags: &[MERGE, SECONDS, DATA_DIR],
        about: "run the whole pool with a chain and miners of its own",
        more: "Needs no coin node and no rig: CPU miners mine a test chain over real stratum connections.\n\
               --merge adds Dogecoin, whose blocks pay the miners as well, and Pepecoin, whose node's blocks are owed.",
    },
    Entry {
        name: "status",
        operands: "",
        flags: &[CONFIG, URL],
        about: "show a running pool as a table",
        more: "Asks the pool's RPC port, which needs no token: where the configuration says, or at http://127.0.0.1:8080\n\
               if there is none that can be read.",
    },
    Entry {
        name: "call",
        operands: "METHOD [PARAMS...]",
        flags: &[CONFIG, URL, TOKEN_FILE],
        about: "make one JSON-RPC call to a running pool",
        more: "A parameter that is JSON is sent as that, anything else as a string. A single object holds the\n\
               parameters by name: edgepool call getinfo '{\"pool\": \"ltc\"}'. \"call help\" lists the methods. Those that change\n\
               anything need the admin token, which root and the pool's user can read: sudo edgepool call setpoolfee 0.5.\n\
               The pool is found like by status; one at --url is shown no token but that of --token-file.",
    },
    Entry {
        name: "ledger export",
        operands: "[FILE]",
        flags: &[CONFIG, LEDGER_DIR],
        about: "write the whole ledger as JSON lines, also while the pool runs",
        more: "To standard output when FILE is - or absent. The same on every machine: it moves a ledger between 32-\n\
               and 64-bit boards. FILE must not exist.",
    },
    Entry {
        name: "ledger import",
        operands: "FILE",
        flags: &[CONFIG, LEDGER_DIR],
        about: "make the ledger from an export, where there is none",
        more: "Checks every line and the journal's chain; nothing is there before all of it is.",
    },
    Entry {
        name: "ledger backup",
        operands: "DIR",
        flags: &[CONFIG, LEDGER_DIR],
        about: "copy the ledger compactly to a new directory, also while the pool runs",
        more: "The copy is read back before this says that it is done. DIR can be used like a data_dir.",
    },
    Entry {
        name: "ledger restore",
        operands: "BACKUP",
        flags: &[CONFIG, LEDGER_DIR],
        about: "put a backup or an export in place of the ledger, damaged or not",
        more: "Stop the pool first. The ledger that was there is kept beside it as ledger.replaced-N.",
    },
    Entry {
        name: "ledger rebuild",
        operands: "",
        flags: &[FROM, CONFIG, LEDGER_DIR],
        about: "make a lost ledger anew from a backup and the chain's own coinbases",
        more: "Stop the pool first. Searches the chain, by the configuration's nodes, for blocks of this pool that the\n\
               backup does not know, says what can't be known any more, and verifies the result. The ledger that was\n\
               there is kept beside it as ledger.replaced-N. There must be a backup or an export, however old: no\n\
               chain tells what was owed.",
    },
    Entry {
        name: "ledger verify",
        operands: "",
        flags: &[CONFIG, LEDGER_DIR, POOL, NODE, LIVE_URL],
        about: "check the ledger against itself, the running pool and the chain",
        more: "Replays the journal, sums everything up anew and redoes every split by the payout rule; compares with\n\
               the pool if it runs and, with --node, every coinbase and settled payment with the chain, and names what\n\
               a wallet paid to miners and the ledger does not know. Exits with 1 and every difference when something\n\
               is off; with 3 when nothing is, and something that was asked for could not be checked, as with a node\n\
               that does not answer. That of a chain that is not mined any more is not missed.",
    },
    Entry {
        name: "bench ledger",
        operands: "",
        flags: &[BENCH_DIR, COMMITS, YEAR, MINERS, BLOCKS],
        about: "measure what the ledger writes to a disk, or how large it grows",
        more: "Writes real commits of 10 shares a second to a ledger of its own, which is removed at the end.",
    },
    Entry {
        name: "bench hot",
        operands: "",
        flags: &[BENCH_DIR, ROUNDS],
        about: "measure each step of a share's way, and of a job's",
        more: "The pool's own code on made-up work: a job of 2,000 transactions for 1,000 miners. A real ledger takes the\n\
               commits, and is removed at the end.",
    },
    Entry {
        name: "bench load",
        operands: "",
        flags: &[CONNECTIONS, LOAD_SECONDS, BENCH_DIR, SERVE],
        about: "measure what thousands of rigs cost the pool",
        more: "Starts a pool in a process of its own, and plays a node and all its rigs over real sockets. Each rig takes a\n\
               file descriptor here and another in the pool. --serve is how it starts the pool whose shares are easy.",
    },
    Entry {
        name: "bench vardiff",
        operands: "",
        flags: &[SEEDS, TARGET_SHARE],
        about: "simulate how soon and how well difficulty fits rigs of every size",
        more: "The pool's own VARDIFF under virtual time; needs neither rigs nor a node.",
    },
    Entry {
        name: "man",
        operands: "",
        flags: &[],
        about: "print the manual page",
        more: "For man: edgepool man >/usr/local/share/man/man1/edgepool.1",
    },
    Entry {
        name: "completion",
        operands: "",
        flags: &[],
        about: "print what bash needs to complete command lines",
        more: "For the current shell: source <(edgepool completion)",
    },
];
