//! The pool's scrypt beside RustCrypto's and OpenSSL's, one hash at a time. All of them must come to the same; what a
//! hash takes is printed, not judged: `cargo test --release --test scrypt -- --nocapture`.

use std::process::Command;
use std::time::{Duration, Instant};

use edgepool::base::rng::Rng;
use edgepool::coin::params::Algorithm;
use edgepool::coin::pow::Hasher;

const ROUNDS: usize = 300;
/// Hashes of one implementation before the next has its turn.
const HASHES: usize = 8;

/// The same for OpenSSL, which Python's standard library hands out: 32 bytes of hexadecimal for each header that it is
/// given, then nanoseconds for each round of them all.
const OPENSSL: &str = "
import hashlib, sys, time
rounds, headers = int(sys.argv[1]), [bytes.fromhex(text) for text in sys.argv[2:]]
of = lambda header: hashlib.scrypt(header, salt=header, n=1024, r=1, p=1, dklen=32)
for header in headers: print(of(header).hex())
for _ in range(rounds):
    begun = time.perf_counter_ns()
    for header in headers: of(header)
    print(time.perf_counter_ns() - begun)
";

#[test]
fn every_implementation_comes_to_the_same_and_takes_its_time() {
    let mut rng = Rng::new(11);
    let headers: Vec<[u8; 80]> = (0..HASHES).map(|_| std::array::from_fn(|_| rng.next_u64() as u8)).collect();
    let mut hasher = Hasher::new();
    let params = scrypt::Params::new(10, 1, 1).unwrap();
    let mut edgepool = |header: &[u8; 80]| hasher.hash(Algorithm::Scrypt, header);
    let rust_crypto = |header: &[u8; 80]| {
        let mut hash = [0; 32];
        scrypt::scrypt(header, header, &params, &mut hash).unwrap();
        hash
    };
    let expected: Vec<[u8; 32]> = headers.iter().map(rust_crypto).collect();

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (hashes, time) = round(&headers, &mut edgepool);
        assert_eq!(hashes, expected);
        ours.push(time);
        let (hashes, time) = round(&headers, rust_crypto);
        assert_eq!(hashes, expected);
        theirs.push(time);
    }
    print("edgepool", ours);
    print("RustCrypto's scrypt", theirs);

    let asked = Command::new("python3")
        .args(["-c", OPENSSL, &ROUNDS.to_string()])
        .args(headers.iter().map(hex::encode))
        .output();
    // Python can be built without it, or not be there at all.
    let Some(answer) = asked.ok().filter(|asked| asked.status.success()) else {
        return println!("OpenSSL's: there is no python3 that has it");
    };
    let answer = String::from_utf8(answer.stdout).unwrap();
    assert!(answer.lines().take(HASHES).eq(expected.iter().map(hex::encode)), "{answer}");
    let times = answer.lines().skip(HASHES).map(|time| Duration::from_nanos(time.parse().unwrap()));
    print("OpenSSL's, by Python", times.collect());
}

/// The hashes of all, and what they took.
fn round(headers: &[[u8; 80]], hash: impl FnMut(&[u8; 80]) -> [u8; 32]) -> (Vec<[u8; 32]>, Duration) {
    let begun = Instant::now();
    let hashes = headers.iter().map(hash).collect();
    (hashes, begun.elapsed())
}

fn print(name: &str, mut rounds: Vec<Duration>) {
    rounds.sort_unstable();
    let of_one = |time: Duration| time.as_secs_f64() * 1e6 / HASHES as f64;
    println!("{name:<22} a hash: median {:.0} µs, best round {:.0} µs", of_one(rounds[ROUNDS / 2]), of_one(rounds[0]));
}
