use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

#[track_caller]
fn case(line: &str, id: Value, request: Request) {
    let id = Id::read(&id.to_string()).unwrap();
    assert_eq!(parse(line.as_bytes()), Ok(Message { id, request }), "{line}");
}

#[track_caller]
fn refused(line: &str, id: Value, reason: &str) {
    let id = Id::read(&id.to_string()).unwrap();
    let expected = Refused { id, code: ErrorCode::Other, reason: reason.into() };
    assert_eq!(parse(line.as_bytes()), Err(expected), "{line}");
}

fn submit(version_bits: Option<u32>) -> Request<'static> {
    Request::Submit(Submit {
        username: "LTC.rig1".into(),
        job_id: "5f".into(),
        extranonce2: Extranonce2::new(&[0, 0, 0, 0x1a]).unwrap(),
        ntime: 0x6553_f100,
        nonce: 0x00c0_ffee,
        version_bits,
    })
}

#[test]
fn a_submit_is_read_as_every_miner_writes_it() {
    // cgminer puts params first, minerd the method, bfgminer has string ids.
    case(
        r#"{"params": ["LTC.rig1", "5f", "0000001a", "6553f100", "00c0ffee"], "id": 12, "method": "mining.submit"}"#,
        json!(12),
        submit(None),
    );
    case(
        r#"{"method": "mining.submit", "params": ["LTC.rig1", "5f", "0000001A", "6553F100", "00C0FFEE"], "id":4}"#,
        json!(4),
        submit(None),
    );
    case(
        r#"{"id":"s-1","method":"mining.submit","params":["LTC.rig1","5f","0000001a","6553f100","00c0ffee","00802000"]}"#,
        json!("s-1"),
        submit(Some(0x0080_2000)),
    );
    case(
        r#"{"id":null,"method":"mining.submit","params":["LTC\u002erig1","5f","0000001a","6553f100","00c0ffee","2000",7]}"#,
        Value::Null,
        submit(Some(0x2000)),
    );
    case(
        r#"{"id":1.5,"jsonrpc":"2.0","method":"mining.submit","params":["LTC.rig1","5f","0000001a","6553f100","00c0ffee",null],"worker":"x"}"#,
        json!(1.5),
        submit(None),
    );
}

#[test]
fn a_bad_submit_is_refused_by_the_name_of_its_field() {
    #[track_caller]
    fn bad(params: &str, reason: &str) {
        refused(&format!(r#"{{"id":9,"method":"mining.submit","params":{params}}}"#), json!(9), reason);
    }
    bad(r#"null"#, "username is missing");
    bad(r#"{"username":"a"}"#, "params must be an array");
    bad(r#"[7,"1","00","00000000","00000000"]"#, "username must be a string");
    bad(r#"["a"]"#, "job_id is missing");
    bad(r#"["a","1","0","00000000","00000000"]"#, "extranonce2 must be hexadecimal, at most 16 bytes");
    bad(r#"["a","1","zz","00000000","00000000"]"#, "extranonce2 must be hexadecimal, at most 16 bytes");
    bad(
        r#"["a","1","0000000000000000000000000000000000","00000000","00000000"]"#,
        "extranonce2 must be hexadecimal, at most 16 bytes",
    );
    bad(r#"["a","1","00","0000000","00000000"]"#, "ntime must be 8 hexadecimal digits");
    bad(r#"["a","1","00","+0000000","00000000"]"#, "ntime must be 8 hexadecimal digits");
    bad(r#"["a","1","00",1700000000,"00000000"]"#, "ntime must be a string");
    bad(r#"["a","1","00","00000000","000000000"]"#, "nonce must be 8 hexadecimal digits");
    bad(r#"["a","1","00","00000000"]"#, "nonce is missing");
    bad(r#"["a","1","00","00000000","00000000",""]"#, "version bits must be up to 8 hexadecimal digits");
    bad(r#"["a","1","00","00000000","00000000","+1"]"#, "version bits must be up to 8 hexadecimal digits");
    bad(r#"["a","1","00","00000000","00000000",8192]"#, "version bits must be up to 8 hexadecimal digits");
    let long = "a".repeat(USERNAME + 1);
    bad(&format!(r#"["{long}","1","00","00000000","00000000"]"#), "username is longer than 256 bytes");
}

#[test]
fn subscribe_takes_whatever_rigs_put_in_its_params() {
    let subscribe = |agent: Option<&str>, session: Option<&str>| Request::Subscribe {
        agent: agent.map(str::to_owned),
        session: session.map(str::to_owned),
    };
    for params in ["", r#","params":null"#, r#","params":[]"#, r#","params":[null]"#, r#","params":{}"#] {
        case(&format!(r#"{{"id":1,"method":"mining.subscribe"{params}}}"#), json!(1), subscribe(None, None));
    }
    case(
        r#"{"id": 0, "method": "mining.subscribe", "params": ["cgminer/4.11.1"]}"#,
        json!(0),
        subscribe(Some("cgminer/4.11.1"), None),
    );
    case(
        r#"{"id":1,"method":"mining.subscribe","params":["minerd/2.5","00000003","pool.lan",3333]}"#,
        json!(1),
        subscribe(Some("minerd/2.5"), Some("00000003")),
    );
}

#[test]
fn authorize_needs_a_username_and_nothing_more() {
    let authorize = |password: &str| Request::Authorize { username: "LTC.rig1".into(), password: password.to_owned() };
    for (params, password) in [
        (r#"["LTC.rig1"]"#, ""),
        (r#"["LTC.rig1",null]"#, ""),
        (r#"["LTC.rig1","x,d=512"]"#, "x,d=512"),
        (r#"["LTC.rig1",1]"#, "1"),
    ] {
        case(&format!(r#"{{"id":2,"method":"mining.authorize","params":{params}}}"#), json!(2), authorize(password));
    }
    refused(r#"{"id":2,"method":"mining.authorize"}"#, json!(2), "username is missing");
    refused(r#"{"id":2,"method":"mining.authorize","params":[""]}"#, json!(2), "username is empty");
}

#[test]
fn configure_gathers_the_extensions_asked_for() {
    #[track_caller]
    fn configure(params: &str, expected: Configure) {
        let line = format!(r#"{{"id":1,"method":"mining.configure","params":{params}}}"#);
        case(&line, json!(1), Request::Configure(expected));
    }
    configure(
        r#"[["version-rolling","minimum-difficulty","subscribe-extranonce"],{"version-rolling.mask":"1fffe000","version-rolling.min-bit-count":2,"minimum-difficulty.value":2048}]"#,
        Configure {
            version_rolling: Some(0x1fff_e000),
            minimum_difficulty: Some(2048.0),
            subscribe_extranonce: true,
            unknown: vec![],
        },
    );
    configure(r#"[["version-rolling"],{}]"#, Configure { version_rolling: Some(u32::MAX), ..Configure::default() });
    configure(r#"[["version-rolling"]]"#, Configure { version_rolling: Some(u32::MAX), ..Configure::default() });
    configure(
        r#"[["info","minimum-difficulty","info"],{"info.hw-version":"s9"}]"#,
        Configure { unknown: vec!["info".into(), "minimum-difficulty".into()], ..Configure::default() },
    );
    configure(r#"[[],{"version-rolling.mask":"ffffffff"}]"#, Configure::default());
    let refusals = [
        ("[]", "extensions must be an array of strings"),
        ("[[1]]", "extensions must be an array of strings"),
        (
            r#"[["version-rolling"],{"version-rolling.mask":"1fffe0000"}]"#,
            "version-rolling.mask must be up to 8 hexadecimal digits",
        ),
    ];
    for (params, reason) in refusals {
        refused(&format!(r#"{{"id":1,"method":"mining.configure","params":{params}}}"#), json!(1), reason);
    }
}

#[test]
fn suggestions_are_numbers_above_zero_or_whole_targets() {
    let suggest = |params: &str| format!(r#"{{"id":3,"method":"mining.suggest_difficulty","params":{params}}}"#);
    for (params, expected) in [("[512]", 512.0), ("[0.001]", 0.001), (r#"["64"]"#, 64.0)] {
        case(&suggest(params), json!(3), Request::SuggestDifficulty(expected));
    }
    for params in ["[]", "[0]", "[-1]", r#"["nan"]"#, r#"["inf"]"#, "[[1]]", "[true]"] {
        refused(&suggest(params), json!(3), "difficulty must be a number above 0");
    }
    let mut target = [0xff; 32];
    target[30..].fill(0);
    case(
        &format!(r#"{{"id":3,"method":"mining.suggest_target","params":["0000{}"]}}"#, "ff".repeat(30)),
        json!(3),
        Request::SuggestTarget(target),
    );
    refused(
        r#"{"id":3,"method":"mining.suggest_target","params":["ffff"]}"#,
        json!(3),
        "target must be 64 hexadecimal digits",
    );
}

#[test]
fn the_small_methods_are_known_and_the_rest_is_named() {
    let cases = [
        ("mining.extranonce.subscribe", Request::ExtranonceSubscribe),
        ("mining.multi_version", Request::MultiVersion),
        ("mining.get_transactions", Request::GetTransactions),
        ("mining.capabilities", Request::Capabilities),
        ("mining.ping", Request::Ping),
        ("client.get_version", Request::GetVersion),
        ("eth_submitLogin", Request::Unknown("eth_submitLogin".into())),
    ];
    for (method, request) in cases {
        for params in [r#"[]"#, r#"[4]"#, r#"{"a":[{}]}"#, "null", "3"] {
            case(&format!(r#"{{"id":5,"method":"{method}","params":{params}}}"#), json!(5), request.clone());
        }
    }
    case(r#"{"id":5,"result":"cgminer/4.11.1","error":null}"#, json!(5), Request::Reply);
}

#[test]
fn what_is_no_request_is_refused_with_the_id_where_it_is_known() {
    for line in ["", "garbage", "{", r#"{"id":1}x"#, "\u{feff}{}", r#"{"id":1,"method":"\ud800"}"#] {
        refused(line, Value::Null, "not JSON");
    }
    for line in ["[]", "7", "null", r#"["mining.submit"]"#] {
        refused(line, Value::Null, "not a JSON object");
    }
    refused(r#"{"id":1}"#, json!(1), "method is missing");
    refused(r#"{"id":"a","method":7}"#, json!("a"), "method must be a string");
    refused(r#"{"id":[1],"method":"mining.ping"}"#, Value::Null, "id must be a string, a number or null");
    assert!(parse(b"{\"id\":1,\"method\":\"\xff\"}").is_err());
    let deep = format!(r#"{{"id":{}"#, "[".repeat(1_000));
    refused(&deep, Value::Null, "not JSON");
}

proptest! {
    #[test]
    fn a_submit_survives_the_wire(
        username in "[ -~]{1,40}", job_id in "[0-9a-zA-Z]{1,8}", extranonce2 in proptest::collection::vec(any::<u8>(), 0..=16),
        ntime: u32, nonce: u32, version_bits: Option<u32>,
    ) {
        let bits = version_bits.map(|bits| format!("{bits:08x}"));
        let line = json!({"id": nonce, "method": "mining.submit", "params":
            [username, job_id, hex::encode(&extranonce2), format!("{ntime:08x}"), format!("{nonce:08x}"), bits]});
        let line = line.to_string();
        let message = parse(line.as_bytes()).unwrap();
        prop_assert_eq!(&message.id, &Id::read(&nonce.to_string()).unwrap());
        let Request::Submit(submit) = message.request else { panic!("not a submit") };
        prop_assert_eq!(submit.username, username);
        prop_assert_eq!(submit.job_id, job_id);
        prop_assert_eq!(submit.extranonce2.as_slice(), extranonce2);
        prop_assert_eq!((submit.ntime, submit.nonce, submit.version_bits), (ntime, nonce, version_bits));
    }
}
