//! One question by multicast DNS's "legacy unicast" (RFC 6762, section 6.7): from a port that is not 5353, answered to it.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

/// The address of a name, if it is answered within two seconds on this port of the loopback.
pub fn address(port: u16, name: &str) -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut question = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(label.len() as u8);
        question.extend(label.bytes());
    }
    // The end of the name; type A; class IN.
    question.extend([0, 0, 1, 0, 1]);
    socket.send_to(&question, (Ipv4Addr::LOCALHOST, port)).unwrap();
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).ok()?;
    let answer = &answer[..length];
    assert_eq!(answer[..2], question[..2], "the answer to another question");
    // The question is repeated; then comes a record: a name, or a pointer to one, type, class, time to live, length, data.
    let record = answer.get(question.len()..)?;
    let name = match record.first()? {
        0xc0.. => 2,
        _ => record.iter().position(|byte| *byte == 0)? + 1,
    };
    assert_eq!(record[name..name + 2], [0, 1], "an address");
    let data = record.get(name + 10..name + 14)?;
    Some(Ipv4Addr::new(data[0], data[1], data[2], data[3]))
}
