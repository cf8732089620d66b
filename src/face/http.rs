//! What each HTTP request to the status port answers: `POST /` is JSON-RPC, `GET /` the page, `GET /metrics`
//! and `GET /health` for machines. Only maps requests to answers; the shell moves the bytes.

use serde_json::{Value, json};

use crate::wire::http::{HttpRequest, response};
use crate::wire::jsonrpc;

use super::{Site, methods, metrics, page};

const JSON: &str = "application/json";

/// An answer that may have to wait for the disk.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Its Content-Type.
    pub content_type: &'static str,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The bytes to send.
    pub fn to_bytes(&self, keep_alive: bool) -> Vec<u8> {
        // The page runs nothing but itself and asks nobody but this port.
        let headers: &[(&str, &str)] = match self.status {
            401 => &[("WWW-Authenticate", "Bearer")],
            405 => &[("Allow", "GET, POST")],
            _ => &[
                ("Cache-Control", "no-store"),
                ("X-Content-Type-Options", "nosniff"),
                ("Content-Security-Policy", "default-src 'self' 'unsafe-inline'; frame-ancestors 'none'"),
            ],
        };
        response(self.status, self.content_type, &self.body, keep_alive, headers)
    }

    fn text(status: u16, content_type: &'static str, body: &str) -> Answer {
        Answer { status, content_type, body: body.as_bytes().to_vec() }
    }
}

/// Answers one request. Sets the site's flags for what must happen before or after it is sent.
pub fn answer(site: &mut Site, request: &HttpRequest) -> Answer {
    let path = request.path.split('?').next().unwrap_or("/");
    match (request.method.as_str(), path) {
        ("POST", "/") => rpc(site, &request.body),
        ("GET" | "HEAD", "/") => Answer::text(200, "text/html; charset=utf-8", page::HTML),
        ("GET" | "HEAD", "/metrics") => Answer::text(200, "text/plain; version=0.0.4", &metrics::text(site)),
        ("GET" | "HEAD", "/health") => health(site),
        (_, "/" | "/metrics" | "/health") => Answer::text(405, "text/plain", "method not allowed\n"),
        _ => Answer::text(404, "text/plain", "not found: POST / is JSON-RPC, GET / the status page\n"),
    }
}

/// What is sent instead when a change could not be written.
pub fn not_durable(reason: &str) -> Answer {
    let message = format!("in force, but not written yet: {reason}");
    let error = json!({ "result": null, "error": { "code": methods::NOT_DURABLE, "message": message }, "id": null });
    Answer { status: 500, content_type: JSON, body: error.to_string().into_bytes() }
}

/// 200 when every pool works as it should, 503 with the reasons otherwise.
fn health(site: &Site) -> Answer {
    let troubles: Vec<Value> = site
        .pools
        .iter()
        .filter(|pool| !pool.troubles().is_empty())
        .map(|pool| json!({ "pool": pool.spec().name, "troubles": pool.troubles() }))
        .collect();
    let status = if troubles.is_empty() { 200 } else { 503 };
    let body = json!({ "healthy": troubles.is_empty(), "pools": troubles });
    Answer::text(status, JSON, &(body.to_string() + "\n"))
}

fn rpc(site: &mut Site, body: &[u8]) -> Answer {
    let served = jsonrpc::serve(body, |call| methods::call(site, &call.method, call.params.clone()));
    Answer { status: served.status, content_type: JSON, body: served.body }
}
