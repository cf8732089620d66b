use super::*;

/// The methods of a tiny server: `echo` gives its parameters back, `secret` is refused.
fn methods(call: &Call) -> Result<Value, RpcError> {
    match call.method.as_str() {
        "echo" => Ok(call.params.clone()),
        "secret" => Err(RpcError::new(NOT_AUTHORISED, "not authorised")),
        "data" => Err(RpcError { code: -8, message: "no".into(), data: Some(json!([1])) }),
        other => Err(RpcError::new(METHOD_NOT_FOUND, format!("no method {other}"))),
    }
}

#[track_caller]
fn case(body: &str, status: u16, expected: Value) {
    let served = serve(body.as_bytes(), methods);
    assert_eq!(served.status, status, "{body}");
    assert!(served.body.ends_with(b"\n"));
    assert_eq!(serde_json::from_slice::<Value>(&served.body).unwrap(), expected, "{body}");
}

#[test]
fn each_version_is_answered_in_its_own_shape() {
    case(r#"{"id":7,"method":"echo","params":[1]}"#, 200, json!({"result": [1], "error": null, "id": 7}));
    case(r#"{"jsonrpc":"1.0","id":"a","method":"echo"}"#, 200, json!({"result": null, "error": null, "id": "a"}));
    case(r#"{"method":"echo"}"#, 200, json!({"result": null, "error": null, "id": null}));
    case(
        r#"{"jsonrpc":"2.0","id":7,"method":"echo","params":{"a":1}}"#,
        200,
        json!({"jsonrpc": "2.0", "result": {"a": 1}, "id": 7}),
    );
    let error = json!({"code": -32601, "message": "no method x"});
    case(r#"{"id":7,"method":"x"}"#, 404, json!({"result": null, "error": error, "id": 7}));
    case(r#"{"jsonrpc":"2.0","id":7,"method":"x"}"#, 200, json!({"jsonrpc": "2.0", "error": error, "id": 7}));
    case(
        r#"{"id":7,"method":"data"}"#,
        500,
        json!({"result": null, "error": {"code": -8, "message": "no", "data": [1]}, "id": 7}),
    );
}

#[test]
fn who_is_not_authorised_sees_it_in_the_http_status() {
    for version in ["1.0", "2.0"] {
        let body = format!(r#"{{"jsonrpc":"{version}","id":1,"method":"secret"}}"#);
        assert_eq!(serve(body.as_bytes(), methods).status, 401);
    }
}

#[test]
fn what_is_no_call_is_a_fault_that_says_why() {
    #[track_caller]
    fn fault(body: &str, status: u16, id: Value, code: i64, message: &str) {
        case(body, status, json!({"result": null, "error": {"code": code, "message": message}, "id": id}));
    }
    fault("garbage", 500, Value::Null, -32700, "Parse error: the body is not JSON");
    fault("", 500, Value::Null, -32700, "Parse error: the body is not JSON");
    fault(&"[".repeat(10_000), 500, Value::Null, -32700, "Parse error: the body is not JSON");
    fault("[]", 400, Value::Null, -32600, "the batch is empty");
    fault("7", 400, Value::Null, -32600, "a call must be an object");
    fault(r#"{"id":[]}"#, 400, Value::Null, -32600, "id must be a string, a number or null");
    fault(r#"{"id":1}"#, 400, json!(1), -32600, "method is missing");
    fault(r#"{"id":1,"method":2}"#, 400, json!(1), -32600, "method must be a string");
    fault(r#"{"id":1,"method":"echo","params":"x"}"#, 400, json!(1), -32600, "params must be an array or an object");
    fault(r#"{"jsonrpc":"3.0","id":1,"method":"echo"}"#, 400, json!(1), -32600, "jsonrpc must be \"1.0\" or \"2.0\"");
    let too_many = format!("[{}0]", "0,".repeat(RPC_BATCH));
    fault(&too_many, 400, Value::Null, -32600, "more than 64 calls in one batch");
}

#[test]
fn a_batch_is_answered_in_order_and_notifications_not_at_all() {
    case(
        r#"[{"id":1,"method":"echo","params":[1]},7,{"jsonrpc":"2.0","method":"echo"},{"jsonrpc":"2.0","id":null,"method":"echo"}]"#,
        200,
        json!([
            {"result": [1], "error": null, "id": 1},
            {"result": null, "error": {"code": -32600, "message": "a call must be an object"}, "id": null},
            {"jsonrpc": "2.0", "result": null, "id": null},
        ]),
    );
    case(r#"[{"method":"echo"}]"#, 200, json!([{"result": null, "error": null, "id": null}]));
    let full = format!("[{}0]", "0,".repeat(RPC_BATCH - 1));
    let answers: Vec<Value> = serde_json::from_slice(&serve(full.as_bytes(), methods).body).unwrap();
    assert_eq!(answers.len(), RPC_BATCH);
    for silent in [r#"{"jsonrpc":"2.0","method":"x"}"#, r#"[{"jsonrpc":"2.0","method":"echo"}]"#] {
        assert_eq!(serve(silent.as_bytes(), methods), Served { status: 204, body: vec![] });
    }
}

#[test]
fn a_notification_is_made_though_it_is_not_answered() {
    let mut made = 0;
    serve(br#"{"jsonrpc":"2.0","method":"echo"}"#, |call| {
        made += 1;
        methods(call)
    });
    assert_eq!(made, 1);
}

#[test]
fn a_call_of_the_client_is_read_by_the_server() {
    let body = call(7, "getblockhash", "[1]");
    let Body::Single(Ok(read)) = parse(body.as_bytes()) else { panic!("{body}") };
    assert_eq!((read.method.as_str(), &read.params, &read.id), ("getblockhash", &json!([1]), &json!(7)));
    let answered = response(&read, Ok(&json!("00ff")));
    assert_eq!(answer(&answered, 7).unwrap().get(), "\"00ff\"");
}

#[test]
fn answers_are_results_or_errors_and_never_those_of_another_call() {
    let text = |body: &str| answer(body.as_bytes(), 7).map(|raw| raw.get().to_owned());
    let rpc = |code, message: &str| Err(AnswerError::Rpc { code, message: message.into() });
    assert_eq!(text(r#"{"result":null,"error":null,"id":7}"#), Ok("null".into()));
    assert_eq!(text(r#"{"jsonrpc":"2.0","result":{"a": 1},"id":7}"#), Ok(r#"{"a": 1}"#.into()));
    assert_eq!(text(r#"{"result":null,"error":{"code":-28,"message":"Loading"},"id":7}"#), rpc(-28, "Loading"));
    assert_eq!(text(r#"{"error":{"code":-32700,"message":"Parse error"},"id":null}"#), rpc(-32700, "Parse error"));
    for body in [
        "",
        "Work queue depth exceeded",
        "[]",
        r#"["a",null,7]"#,
        "{}",
        r#"{"id":7}"#,
        r#"{"result":1,"id":8}"#,
        r#"{"result":1,"id":null}"#,
        r#"{"error":{"code":-1},"id":8}"#,
        r#"{"result":1,"error":"x","id":7}"#,
        r#"{"result":1,"id":7"#,
    ] {
        assert!(matches!(text(body), Err(AnswerError::Malformed(_))), "{body}");
    }
}
