//! A board's life from the first start: told what to do, configured over the network, updated, and saved from a bad
//! update and a bad configuration.

use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::miner::{Miner, Want};
use crate::node::{address_of, configuration, node};
use crate::place::{Folder, wait_for};
use crate::vm::{PATIENCE, Vm, part};

/// What QEMU's DHCP gives to the first machine.
const LEASE: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const SSH_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEMAkmyv7s3G4i0oZkq3q6Wm8lq1d9mVQe8M0h1n0uJx farm";
const CONFIGURE: &str = "/cgi-bin/configure";

#[test]
#[ignore = "needs the image: cross/image/test.sh"]
fn a_board_is_configured_updated_and_saved_from_mistakes() {
    let folder = Folder::new("board-life");
    let node = node();
    let mut vm = Vm::new(folder.path());
    vm.card.put_text("not an update", "edgepool-update-damaged.tar");

    vm.start();
    let token = first_start(&mut vm);
    let authorization = configure_over_the_network(
        &mut vm,
        &token,
        &configuration(
            &node,
            &json!({
                "hostname": "barn", "address": "10.0.2.15/24", "gateway": "10.0.2.2", "ssh_keys": [SSH_KEY]
            }),
        ),
    );
    let shares = mine(&vm);
    ended_pools_start_again(&mut vm, &authorization, shares);

    vm.kill();
    vm.card.settle();
    vm.card.put(&part("EDGEPOOL_UPDATE"), "edgepool-update-good.tar");
    vm.start();
    vm.wait_for_console("update: system b answers, and is the one that starts from now on", 1);
    vm.wait_until_ready();
    assert_eq!(vm.share_count(&address_of(1)), shares);
    assert!(vm.wait_for_page("system b").contains("pool is configured"));

    // Its kernel starts and dies; whatever it leaves behind, the system before it runs again.
    vm.kill();
    assert!(vm.card.names().iter().any(|name| name == "state/b"), "{:?}", vm.card.names());
    vm.card.put(&part("EDGEPOOL_BROKEN"), "edgepool-update-broken.tar");
    vm.start();
    vm.wait_for_console("Kernel panic", 1);
    vm.wait_for_page("edgepool-update-broken.tar did not come up, so the system before it runs");
    vm.wait_until_ready();
    assert_eq!(vm.share_count(&address_of(1)), shares);

    vm.kill();
    vm.card.put_text("{ \"pools\": [{ \"coin\": \"litecoin\", \"fee\": 1 }] }", "edgepool.json");
    vm.start();
    let page = vm.wait_for_page("pools[0].fee: unknown key");
    assert!(page.contains("pools[0].payout.address: is missing"), "{page}");
    vm.wait_for_console("edgepool: pools[0].fee: unknown key", 1);
}

/// Nothing was edited: the board has an address, is found by its name, and says what to do. Gives the token.
fn first_start(vm: &mut Vm) -> String {
    let page = vm.wait_for_page("Not configured: there is no file edgepool.json");
    for part in ["edgepool-update-damaged.tar is damaged", "system a", "How to configure it"] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
    let there_too = wait_for("the page is in the pool's place", 30, || {
        crate::http::request("GET", vm.rpc_port, "/", None, b"", Duration::from_secs(10)).ok()
    });
    assert!(String::from_utf8_lossy(&there_too.body).contains("Not configured"));
    wait_for("edgepool.local is answered", 60, || (vm.neighbour.address("edgepool.local")? == LEASE).then_some(()));
    let year = page.split("clock ").nth(1).and_then(|rest| rest.get(..4)).expect("the page shows the clock");
    assert!(year.parse::<u32>().unwrap() >= 2024, "the clock stands before the image was built: {year}");
    let shown = vm.shown();
    let token =
        shown.split("the token is ").nth(1).and_then(|rest| rest.get(..64)).expect("the console shows the token");
    assert!(!page.contains(token));
    token.to_owned()
}

/// Sends wrong ones, then the right one, and waits for the pool. Gives what admits to the pool's methods.
fn configure_over_the_network(vm: &mut Vm, token: &str, configuration: &Value) -> String {
    let login = |token: &str| format!("Basic {}", STANDARD.encode(format!("edgepool:{token}")));
    let own = login(token);
    let body = configuration.to_string();
    for (authorization, body, status, text) in [
        (None, &*body, 401, ""),
        (Some(&*login("0123")), &*body, 401, ""),
        (Some(&*own), "{", 422, "is not valid JSON"),
        (Some(&*own), "{ \"pools\": [], \"bord\": 1 }", 422, "bord: unknown key; did you mean \"board\"?"),
        (Some(&*own), &*body.replacen('{', "{ \"data_dir\": \"/root\",", 1), 422, "data_dir"),
        // What a page of somebody else makes a browser send.
        (Some(&format!("{own}\r\nOrigin: http://elsewhere.example")), &*body, 403, "own page"),
        (Some(&*own), &*body, 200, "Saved"),
    ] {
        let reply = vm.page("POST", CONFIGURE, authorization, body.as_bytes()).unwrap();
        let said = String::from_utf8_lossy(&reply.body);
        assert!(reply.status == status && said.contains(text), "{} instead of {status}: {said}", reply.status);
    }
    vm.wait_until_ready();
    wait_for("barn.local is answered", 60, || (vm.neighbour.address("barn.local")? == LEASE).then_some(()));
    wait_for("SSH is on", PATIENCE, || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, vm.ssh_port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        let mut banner = [0; 16];
        stream.read_exact(&mut banner).ok()?;
        (banner == *b"SSH-2.0-dropbear").then_some(())
    });
    format!("Bearer {token}")
}

fn mine(vm: &Vm) -> u64 {
    let mut miner = Miner::at_work(vm.stratum_port(), &format!("{}.rig", address_of(1)), "x");
    let shares = 5;
    for _ in 0..shares {
        let share = miner.mine(Want::Share);
        assert_eq!(miner.submit(&share), Ok(true));
    }
    shares
}

fn ended_pools_start_again(vm: &mut Vm, authorization: &str, shares: u64) {
    vm.ask("stop", json!([]), Some(authorization));
    wait_for("the pool has ended", 60, || vm.shown().contains("the pool ended").then_some(()));
    vm.wait_until_ready();
    assert_eq!(vm.share_count(&address_of(1)), shares);
}
