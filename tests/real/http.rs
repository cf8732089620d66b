//! A small blocking HTTP/1.1 client on one connection per request: enough to ask a coin node and edgepool.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Status code and body of an answer.
pub struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
}

/// One request to 127.0.0.1, waiting at most `timeout` for each piece of the answer.
pub fn request(
    method: &str,
    port: u16,
    path: &str,
    authorization: Option<&str>,
    body: &[u8],
    timeout: Duration,
) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let authorization = authorization.map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
    let mut bytes = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{authorization}Content-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    stream.write_all(&bytes)?;

    let mut answer = Vec::new();
    let mut piece = [0; 65_536];
    loop {
        if let Some(reply) = parse(&answer, false)? {
            return Ok(reply);
        }
        match stream.read(&mut piece)? {
            0 => return parse(&answer, true)?.ok_or_else(|| malformed("the connection closed within the answer")),
            count => answer.extend_from_slice(&piece[..count]),
        }
    }
}

/// The answer, once it is whole: delimited by its Content-Length, or by the end of the connection.
fn parse(answer: &[u8], closed: bool) -> io::Result<Option<Reply>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&answer[..end]).map_err(|_| malformed("a head that is not text"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| malformed(head))?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let body = &answer[end + 4..];
    Ok(match length {
        Some(length) if body.len() >= length => Some(Reply { status, body: body[..length].to_vec() }),
        None if closed => Some(Reply { status, body: body.to_vec() }),
        _ => None,
    })
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.to_owned())
}
