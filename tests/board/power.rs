//! Power cuts amid shares: what was acknowledged is on the card, once.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use edgepool::base::rng::Rng;
use serde_json::json;

use crate::card::Loss;
use crate::miner::{Miner, Want};
use crate::node::{address_of, configuration, node};
use crate::place::{Folder, wait_for};
use crate::pour::{Tally, pour};
use crate::vm::Vm;

const CUTS: usize = 10;
/// Acknowledged shares of each rig before a cut.
const ENOUGH: u64 = 20;
/// The emulated processor hashes each share anew, and takes much longer for it.
const PAUSE: Duration = Duration::from_millis(20);

#[test]
#[ignore = "needs the image: cross/image/test.sh"]
fn every_acknowledged_share_survives_power_cuts() {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let folder = Folder::new("board-power");
    let node = node();
    let mut vm = Vm::new(folder.path());
    vm.card.put_text(&configuration(&node, &json!({})).to_string(), "edgepool.json");
    let addresses = [address_of(1), address_of(2)];
    let mut counted = [0; 2];
    let (mut unanswered, mut loss) = (0, Loss::default());
    vm.start();
    vm.wait_until_ready();
    for round in 0..=CUTS {
        let tallies = [Tally::default(), Tally::default()];
        let rigs =
            addresses.each_ref().map(|address| Miner::at_work(vm.stratum_port(), &format!("{address}.rig"), "x"));
        thread::scope(|scope| {
            for (miner, tally) in rigs.into_iter().zip(&tallies) {
                scope.spawn(move || pour(miner, Want::Share, PAUSE, tally));
            }
            wait_for("both rigs have shares acknowledged", 120, || {
                tallies.iter().all(|tally| tally.acknowledged.load(Ordering::Relaxed) >= ENOUGH).then_some(())
            });
            thread::sleep(Duration::from_millis(rng.below(1_000)));
            // Every other time at the worst moment: shares are written, and not yet flushed.
            if round % 2 == 1 {
                vm.card.hold_flush();
            }
            vm.kill();
        });
        // The first time only the machine is killed, as a host that ends a virtual one; then the card loses its power too.
        let cut = if round == 0 { vm.card.settle() } else { vm.card.cut(&mut rng) };
        println!("round {round}: of what was not flushed {} sectors are there, {} are lost", cut.kept, cut.lost);
        loss = Loss { kept: loss.kept + cut.kept, lost: loss.lost + cut.lost };
        vm.start();
        vm.wait_until_ready();
        for ((address, tally), counted) in addresses.iter().zip(&tallies).zip(&mut counted) {
            let (sent, acknowledged) = (tally.sent.load(Ordering::Relaxed), tally.acknowledged.load(Ordering::Relaxed));
            let found = vm.share_count(address);
            let possible = *counted + acknowledged..=*counted + sent;
            assert!(possible.contains(&found), "round {round}, {address}: {found} shares, possible are {possible:?}");
            println!("  of {sent} shares {acknowledged} were acknowledged, and {} are there", found - *counted);
            unanswered += sent - acknowledged;
            *counted = found;
        }
        assert_eq!(vm.ask("getbalances", json!([]), None)["conserved"], true);
    }
    assert!(unanswered > 0, "no cut ever came while shares were on their way: the test proves nothing");
    assert!(loss.lost > 0, "no cut ever met a sector that was not flushed: the test proves nothing");
}
