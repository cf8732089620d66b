//! A neighbour on the board's network that asks by multicast DNS (RFC 6762), as a laptop does: QEMU hands out the frames of
//! that network, and takes in others, as datagrams.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use crate::place::free_port;

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_MAC: [u8; 6] = [0x01, 0x00, 0x5e, 0, 0, 251];
const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 77);
const OWN_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 77];
const PORT: [u8; 2] = 5353_u16.to_be_bytes();
/// Lengths of the headers before a DNS message.
const ETHERNET: usize = 14;
const IP: usize = 20;
const UDP: usize = 8;

pub struct Neighbour {
    socket: UdpSocket,
    own_port: u16,
    board_port: u16,
}

impl Neighbour {
    pub fn new() -> Neighbour {
        let (own_port, board_port) = (free_port(), free_port());
        Neighbour { socket: UdpSocket::bind((Ipv4Addr::LOCALHOST, own_port)).unwrap(), own_port, board_port }
    }

    /// The network device of QEMU that is this neighbour's.
    pub fn device(&self) -> String {
        format!("socket,id=neighbour,udp=127.0.0.1:{},localaddr=127.0.0.1:{}", self.own_port, self.board_port)
    }

    /// The address of a name, if somebody answers within two seconds.
    pub fn address(&self, name: &str) -> Option<Ipv4Addr> {
        let labels: Vec<u8> =
            name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).chain([0]).collect();
        // One question, of type A and class IN.
        let question = [&[0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &labels, &[0, 1, 0, 1]].concat();
        let deadline = Instant::now() + Duration::from_secs(2);
        self.drain();
        self.socket.send_to(&frame(&question), (Ipv4Addr::LOCALHOST, self.board_port)).unwrap();
        loop {
            let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            self.socket.set_read_timeout(Some(left)).unwrap();
            let mut frame = [0; 2048];
            let length = self.socket.recv(&mut frame).ok()?;
            if let Some(address) = answer(&frame[..length], &labels) {
                return Some(address);
            }
        }
    }

    /// What came before a question answers none.
    fn drain(&self) {
        self.socket.set_nonblocking(true).unwrap();
        while self.socket.recv(&mut [0; 2048]).is_ok() {}
        self.socket.set_nonblocking(false).unwrap();
    }
}

/// A message to the group, in a frame. UDP over IPv4 may go without a checksum of its own.
fn frame(message: &[u8]) -> Vec<u8> {
    let length = |more: usize| ((message.len() + more) as u16).to_be_bytes();
    let mut ip =
        [&[0x45, 0][..], &length(IP + UDP), &[0, 0, 0, 0, 255, 17, 0, 0], &OWN.octets(), &GROUP.octets()].concat();
    let sum: u32 = ip.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    let udp = [&PORT[..], &PORT, &length(UDP), &[0, 0]].concat();
    [&GROUP_MAC[..], &OWN_MAC, &[8, 0], &ip, &udp, message].concat()
}

/// The address in a frame's answer to a name, if it is one.
fn answer(frame: &[u8], labels: &[u8]) -> Option<Ipv4Addr> {
    let message = frame.get(ETHERNET + IP + UDP..)?;
    let is_mdns = frame[12..14] == [8, 0] && frame[ETHERNET + 9] == 17 && frame[ETHERNET + IP..][..2] == PORT;
    let is_answer = message.len() > 12 && message[2] & 0x80 != 0;
    if !is_mdns || !is_answer {
        return None;
    }
    let place = message.windows(labels.len()).position(|part| part == labels)? + labels.len();
    // Type A, class IN, whatever its highest bit; then time to live, length and the address.
    let record = message.get(place..place + 14)?;
    let is_address = record[..2] == [0, 1] && record[2] & 0x7f == 0 && record[3] == 1;
    is_address.then(|| Ipv4Addr::new(record[10], record[11], record[12], record[13]))
}
