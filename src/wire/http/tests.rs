use super::*;
use proptest::prelude::*;

const HEAD: usize = 128;
const BODY: usize = 32;

/// Everything that a server reads of `input` when it arrives cut at `cuts`, one after another.
fn requests(input: &[u8], cuts: impl IntoIterator<Item = usize>) -> Vec<Result<HttpRequest, HttpError>> {
    let mut reader = RequestReader::new(HEAD, BODY);
    let mut read = Vec::new();
    each_chunk(input, cuts, |chunk| {
        reader.push(chunk);
        while let Some(request) = reader.next() {
            read.push(request);
        }
    });
    read
}

/// As [`requests`] for a client, whose connection closes at the end.
fn responses(input: &[u8], cuts: impl IntoIterator<Item = usize>) -> Vec<Result<HttpResponse, HttpError>> {
    let mut reader = ResponseReader::new(BODY);
    let mut read = Vec::new();
    each_chunk(input, cuts, |chunk| {
        reader.push(chunk);
        while let Some(response) = reader.next() {
            read.push(response);
        }
    });
    read.extend(reader.finish());
    read
}

fn each_chunk(mut input: &[u8], cuts: impl IntoIterator<Item = usize>, mut take: impl FnMut(&[u8])) {
    for cut in cuts {
        let (chunk, rest) = input.split_at(cut.min(input.len()));
        take(chunk);
        input = rest;
    }
    take(input);
}

/// Method, path, body, and whether the connection is kept.
type Request<'a> = (&'a str, &'a str, &'a str, bool);

#[track_caller]
fn request_case(input: &str, expected: &[Result<Request<'_>, HttpError>]) {
    for size in 1..=input.len() {
        let read: Vec<_> = requests(input.as_bytes(), std::iter::repeat_n(size, input.len() / size));
        let brief: Vec<_> = read
            .iter()
            .map(|request| match request {
                Ok(request) => {
                    let body = std::str::from_utf8(&request.body).unwrap();
                    Ok((request.method.as_str(), request.path.as_str(), body, request.keep_alive))
                }
                Err(error) => Err(*error),
            })
            .collect();
        assert_eq!(brief, expected, "in chunks of {size}");
    }
}

#[track_caller]
fn response_case(input: &str, expected: &[Result<(u16, &str, bool), HttpError>]) {
    for size in 1..=input.len() {
        let read: Vec<_> = responses(input.as_bytes(), std::iter::repeat_n(size, input.len() / size));
        let brief: Vec<_> = read
            .iter()
            .map(|response| match response {
                Ok(response) => {
                    Ok((response.status, std::str::from_utf8(&response.body).unwrap(), response.keep_alive))
                }
                Err(error) => Err(*error),
            })
            .collect();
        assert_eq!(brief, expected, "in chunks of {size}");
    }
}

#[test]
fn requests_are_the_same_however_they_are_cut() {
    request_case("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[Ok(("GET", "/", "", true))]);
    request_case("GET /health HTTP/1.0\r\n\r\n", &[Ok(("GET", "/health", "", false))]);
    request_case("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", &[Ok(("GET", "/", "", true))]);
    request_case("GET / HTTP/1.1\r\nConnection: foo, Close\r\n\r\n", &[Ok(("GET", "/", "", false))]);
    request_case(
        "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}\r\nGET /metrics HTTP/1.1\n\n",
        &[Ok(("POST", "/", "{}", true)), Ok(("GET", "/metrics", "", true))],
    );
    request_case(
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        &[Ok(("POST", "/", "abc0123456789", true)), Ok(("GET", "/", "", true))],
    );
    request_case("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcd", &[]);
}

#[test]
fn requests_over_a_bound_or_at_odds_with_themselves_are_refused() {
    let malformed = |what| [Err(HttpError::Malformed(what))];
    request_case(&format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(HEAD)), &[Err(HttpError::HeadTooLarge)]);
    request_case(&"a".repeat(2 * HEAD), &[Err(HttpError::HeadTooLarge)]);
    request_case("POST / HTTP/1.1\r\nContent-Length: 33\r\n\r\n", &[Err(HttpError::BodyTooLarge)]);
    request_case("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", &[Err(HttpError::BodyTooLarge)]);
    request_case("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n21\r\n", &[Err(HttpError::BodyTooLarge)]);
    request_case(
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        &[Err(HttpError::BodyTooLarge)],
    );
    let sixteen_twice = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\n11\r\n";
    request_case(sixteen_twice, &[Err(HttpError::BodyTooLarge)]);
    request_case("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", &malformed("chunk size"));
    request_case(
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        &malformed("a chunk is longer than its size"),
    );
    request_case("POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", &malformed("Content-Length is not a number"));
    request_case(
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        &malformed("a header is given twice with different values"),
    );
    request_case(
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        &malformed("both Content-Length and Transfer-Encoding"),
    );
    request_case(
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        &[Err(HttpError::Unsupported("a transfer coding other than chunked"))],
    );
    request_case(
        "GET / HTTP/1.1\r\n\r\nhello\r\n\r\n",
        &[Ok(("GET", "/", "", true)), Err(HttpError::Malformed("request head"))],
    );
}

#[test]
fn headers_that_matter_are_kept() {
    let input = b"POST / HTTP/1.1\r\nhost: a:1\r\nAUTHORIZATION: Bearer t\r\nOrigin: http://b\r\nContent-Type: text/plain \r\n\r\n";
    let request = requests(input, []).remove(0).unwrap();
    assert_eq!(request.host.as_deref(), Some("a:1"));
    assert_eq!(request.authorization.as_deref(), Some("Bearer t"));
    assert_eq!(request.origin.as_deref(), Some("http://b"));
    assert_eq!(request.content_type.as_deref(), Some("text/plain"));
}

#[test]
fn a_client_that_waits_to_send_its_body_is_told_once() {
    let mut reader = RequestReader::new(HEAD, BODY);
    reader.push(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert!(reader.next().is_none());
    assert!(reader.take_continue());
    assert!(!reader.take_continue());
    reader.push(b"{}");
    assert_eq!(reader.next().unwrap().unwrap().body, b"{}");
    assert!(!reader.take_continue());
    assert!(!reader.is_busy());
}

#[test]
fn responses_are_the_same_however_they_are_cut() {
    response_case("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", &[Ok((200, "{}", true))]);
    response_case(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"jsonrpc\"\r\nContent-Length: 0\r\n\r\n",
        &[Ok((401, "", true))],
    );
    response_case(
        "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Length: 5\r\n\r\nWork ",
        &[Ok((500, "Work ", false))],
    );
    response_case(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
        &[Ok((200, "abc", true))],
    );
    response_case("HTTP/1.1 200 OK\r\n\r\nuntil the end", &[Ok((200, "until the end", false))]);
    response_case("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", &[Ok((200, "a", false))]);
    response_case(
        "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
        &[Ok((204, "", true)), Ok((200, "a", true))],
    );
}

#[test]
fn a_response_that_is_cut_off_is_an_error() {
    response_case("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", &[Err(HttpError::Truncated)]);
    response_case("HTTP/1.1 200 OK\r\nContent-Le", &[Err(HttpError::Truncated)]);
    response_case("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", &[Err(HttpError::Truncated)]);
    response_case(&format!("HTTP/1.1 200 OK\r\n\r\n{}", "a".repeat(BODY + 1)), &[Err(HttpError::BodyTooLarge)]);
    response_case("SSH-2.0-OpenSSH_9.2\r\n\r\n", &[Err(HttpError::Malformed("response head"))]);
    assert!(responses(b"", []).is_empty());
}

#[test]
fn what_one_side_writes_the_other_reads() {
    let body = br#"{"id":1}"#;
    let request = requests(&request("node:9332", "/", Some("Basic dTpw"), body), []);
    let request = request.into_iter().next().unwrap().unwrap();
    assert_eq!((request.method.as_str(), request.path.as_str(), request.keep_alive), ("POST", "/", true));
    assert_eq!(request.host.as_deref(), Some("node:9332"));
    assert_eq!(request.authorization.as_deref(), Some("Basic dTpw"));
    assert_eq!(request.body, body);

    for (status, keep_alive) in [(200, true), (503, false)] {
        let written = response(status, "application/json", body, keep_alive, &[("Cache-Control", "no-store")]);
        assert!(String::from_utf8_lossy(&written).contains("\r\nCache-Control: no-store\r\n"));
        assert_eq!(responses(&written, []), [Ok(HttpResponse { status, keep_alive, body: body.to_vec() })]);
    }
    let empty = HttpResponse { status: 204, keep_alive: true, body: vec![] };
    assert_eq!(responses(&response(204, "", b"", true, &[]), []), [Ok(empty)]);
}

/// Bytes that look enough like HTTP to reach deep into the readers.
fn httpish() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        Just("GET / HTTP/1.1\r\n"),
        Just("POST /x HTTP/1.0\r\n"),
        Just("HTTP/1.1 200 OK\r\n"),
        Just("HTTP/1.1 100 Continue\r\n"),
        Just("Content-Length: 4\r\n"),
        Just("Transfer-Encoding: chunked\r\n"),
        Just("Connection: close\r\n"),
        Just("\r\n"),
        Just("\n"),
        Just("4\r\nabcd\r\n"),
        Just("0\r\n\r\n"),
        Just("abcd"),
        Just("\u{16}\u{3}"),
    ];
    proptest::collection::vec(token, 0..14).prop_map(|tokens| tokens.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_cutting_reads_the_same(input in httpish(), cuts in proptest::collection::vec(0usize..24, 0..40)) {
        prop_assert_eq!(requests(&input, cuts.iter().copied()), requests(&input, []));
        prop_assert_eq!(responses(&input, cuts), responses(&input, []));
    }
}
