//! The image for boards, booted: its own U-Boot script, kernel and system on an emulated machine, and its own partitions
//! on a card that loses what was not flushed. `cross/image/test.sh` builds what this needs and runs it; without the image
//! there is nothing to test, so that the ordinary test run leaves it out.
#![cfg(feature = "shell")]

mod card;
mod life;
mod mdns;
mod node;
mod power;
mod vm;

#[allow(dead_code, reason = "the tests of a real node need more of it")]
#[path = "../real/http.rs"]
mod http;
#[allow(dead_code, reason = "the tests of a real node need more of it")]
#[path = "../real/miner.rs"]
mod miner;
#[allow(dead_code, reason = "the tests of a real node need more of it")]
#[path = "../real/place.rs"]
mod place;
#[path = "../real/pour.rs"]
mod pour;
#[allow(dead_code, reason = "the tests of a real node need more of it")]
#[path = "../real/proof_of_work.rs"]
mod proof_of_work;
