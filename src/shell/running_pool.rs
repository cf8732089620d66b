//! The running pool as commands at a terminal reach it: where its RPC port is and which token it wants, by the command
//! line, or else by the configuration. A token that the command line does not name is shown only to a pool that asks for it
//! at the very port of the configuration that names the token's file.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::config::{self, Config, DEFAULT_PATH, default};
use super::http_call::{self, CallError};
use super::secrets::AdminToken;
use super::url::http_url;
use crate::pool::spec::NodeSpec;
use crate::wire::jsonrpc::NOT_AUTHORISED;

/// Where the RPC port is when nothing says so.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8080";
/// Its port when a URL has none, as for any web server.
pub const HTTP_PORT: u16 = 80;

/// What the command line says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Its configuration; that of [`DEFAULT_PATH`], where there is one, when neither this nor a URL is given.
    pub config: Option<PathBuf>,
    /// Its RPC port; the configuration's when absent.
    pub url: Option<NodeSpec>,
    /// The file of its token; when absent that of the configuration, if its port is the one that is asked.
    pub token_file: Option<PathBuf>,
}

/// See the module.
pub struct RunningPool {
    url: NodeSpec,
    /// The token that the command line names.
    token: Option<(PathBuf, AdminToken)>,
    /// Where the token is otherwise.
    token_file: Option<PathBuf>,
    /// Why the configuration was not asked, where it should have been.
    unread: Option<String>,
}

impl Reach {
    /// Finds the pool. A configuration that was named must be right; of the usual one it is enough to warn by `warn`.
    pub fn find(&self, warn: impl FnOnce(&str)) -> Result<RunningPool, String> {
        self.find_beside(Path::new(DEFAULT_PATH), warn)
    }

    fn find_beside(&self, usual: &Path, warn: impl FnOnce(&str)) -> Result<RunningPool, String> {
        let (mut unread, mut is_absent) = (None, false);
        let config = match (&self.config, &self.url) {
            (Some(named), _) => Some(config::read(named).map_err(|errors| errors.to_string())?),
            (None, Some(_)) => None,
            (None, None) => match fs::read_to_string(usual) {
                Ok(text) => {
                    let config = config::parse(&text, "").ok();
                    if config.is_none() {
                        let file = usual.display();
                        warn(&format!(
                            "{file} has mistakes (see edgepool check), so {DEFAULT_URL} is asked, without a token"
                        ));
                    }
                    config
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    is_absent = true;
                    None
                }
                Err(error) => {
                    unread = Some(format!("{} can't be read: {error}", usual.display()));
                    None
                }
            },
        };
        let (url, token_file) = match (&self.url, config) {
            (Some(url), _) => (Some(url.clone()), None),
            (None, Some(config)) => configured_url(&config).map(|url| (url, config.admin_token_file)).unzip(),
            // Nothing says otherwise: the pool is where it is by default, and so is its token.
            (None, None) if is_absent => (None, Some(Path::new(default::DATA_DIR).join(default::ADMIN_TOKEN))),
            (None, None) => (None, None),
        };
        let token = self.token_file.as_ref().map(|file| Ok::<_, String>((file.clone(), AdminToken::read(file)?)));
        Ok(RunningPool { url: url.unwrap_or_else(default_url), token: token.transpose()?, token_file, unread })
    }
}

impl RunningPool {
    /// Makes a call that needs no token, and shows none. The error is for the terminal.
    pub fn ask(&self, method: &str, params: &Value) -> Result<Value, String> {
        http_call::call(&self.url, None, method, params).map_err(|error| self.told(&error))
    }

    /// Makes one call, with the token if the pool wants it. The error is for the terminal.
    pub fn call(&self, method: &str, params: &Value) -> Result<Value, String> {
        let shown = self.token.as_ref().map(|(_, token)| token.authorization());
        match http_call::call(&self.url, shown.as_deref(), method, params) {
            Err(CallError::Rpc { code: NOT_AUTHORISED, .. }) => self.call_with_token(method, params),
            answer => answer.map_err(|error| self.told(&error)),
        }
    }

    /// An error, with why this URL was asked where that may be the cause.
    fn told(&self, error: &CallError) -> String {
        match (&self.unread, error) {
            (Some(why), CallError::Connection(_) | CallError::Answer(_)) => {
                format!("{error}\n{why}, so {} was asked", self.url.url)
            }
            _ => error.to_string(),
        }
    }

    fn call_with_token(&self, method: &str, params: &Value) -> Result<Value, String> {
        if let Some((file, _)) = &self.token {
            return Err(refused(file));
        }
        let Some(file) = &self.token_file else {
            return Err(format!(
                "{method} needs the admin token: name its file with --token-file. That is {} in the pool's data_dir, \
                 unless its rpc.admin_token_file says otherwise",
                default::ADMIN_TOKEN
            ));
        };
        // What the pool would be advised to do about its own token helps nobody here.
        fs::File::open(file).map_err(|error| {
            let file = file.display();
            format!(
                "{method} needs the admin token, and {file} can't be read: {error}; run this as root (sudo), or name \
                 the token's file with --token-file"
            )
        })?;
        let token = AdminToken::read(file)?;
        match http_call::call(&self.url, Some(&token.authorization()), method, params) {
            Err(CallError::Rpc { code: NOT_AUTHORISED, .. }) => Err(refused(file)),
            answer => answer.map_err(|error| error.to_string()),
        }
    }
}

fn refused(file: &Path) -> String {
    format!("the pool has another admin token than {} holds: name its file with --token-file", file.display())
}

fn default_url() -> NodeSpec {
    http_url(DEFAULT_URL, HTTP_PORT).expect("it is a URL")
}

/// Where the configured pool answers, as this machine reaches it; `None` where only the system knows the port.
pub fn configured_url(config: &Config) -> Option<NodeSpec> {
    let address = config.rpc_listen.iter().find(|address| address.port() != 0)?;
    let here = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let authority = SocketAddr::new(here, address.port()).to_string();
    Some(NodeSpec { url: format!("http://{authority}"), authority, path: "/".into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    /// An RPC port that wants the token for everything, until the process ends.
    fn serve() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, mut seen) = (stream.unwrap(), String::new());
                let mut part = [0; 4_096];
                while !seen.ends_with('}') {
                    let count = stream.read(&mut part).unwrap();
                    seen += std::str::from_utf8(&part[..count]).unwrap();
                }
                let body = match seen.contains(&format!("Bearer {TOKEN}\r\n")) {
                    true => json!({ "result": "done", "error": null, "id": 1 }),
                    false => json!({ "result": null, "error": { "code": NOT_AUTHORISED, "message": "no" }, "id": 1 }),
                }
                .to_string();
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
            }
        });
        address
    }

    /// A configuration whose pool answers at this address and has its token beside it.
    fn configure(name: &str, listen: &str, token: Option<&str>) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("edgepool-reach-{}-{name}", std::process::id()));
        // Left behind by a process that had the same id.
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory).unwrap();
        let config = json!({
            "data_dir": directory, "rpc": { "listen": listen },
            "pools": [{
                "coin": "litecoin", "network": "regtest", "nodes": [{ "url": "http://127.0.0.1" }],
                "payout": { "address": "rltc1qxvenxvenxvenxvenxvenxvenxvenxvenuxr9sr" }
            }]
        });
        fs::write(directory.join("edgepool.json"), config.to_string()).unwrap();
        if let Some(token) = token {
            fs::write(directory.join("admin.token"), token).unwrap();
        }
        directory
    }

    fn silent(what: &str) {
        panic!("nothing is warned of, but {what}");
    }

    #[test]
    fn the_usual_configuration_tells_where_the_pool_and_its_token_are() {
        let directory = configure("usual", &serve().to_string(), Some(TOKEN));
        let pool = Reach::default().find_beside(&directory.join("edgepool.json"), silent).unwrap();
        assert_eq!(pool.call("setpoolfee", &json!(["0.5"])), Ok(json!("done")));
        // What needs no token shows none, whatever answers.
        assert!(pool.ask("getinfo", &json!([])).is_err_and(|said| said.contains("no")));
        // So does one that is named, whatever the usual one is.
        let named = Reach { config: Some(directory.join("edgepool.json")), ..Reach::default() };
        assert_eq!(named.find_beside(Path::new("none"), silent).unwrap().call("stop", &json!([])), Ok(json!("done")));
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_url_wins_and_gets_no_token_that_was_not_named_for_it() {
        let address = serve();
        let directory = configure("url", "127.0.0.1:1", Some(TOKEN));
        let (usual, token_file) = (directory.join("edgepool.json"), directory.join("admin.token"));
        let url = Some(http_url(&format!("http://{address}"), HTTP_PORT).unwrap());
        let alone = Reach { url: url.clone(), ..Reach::default() };
        let said = alone.find_beside(&usual, silent).unwrap().call("stop", &json!([])).unwrap_err();
        assert!(said.contains("--token-file") && said.contains("admin.token in the pool's data_dir"), "{said}");
        // The configuration's is for its own port.
        let beside = Reach { url: url.clone(), config: Some(usual.clone()), token_file: None };
        let said = beside.find_beside(&usual, silent).unwrap().call("stop", &json!([])).unwrap_err();
        assert!(said.contains("--token-file"), "{said}");
        let named = Reach { url, token_file: Some(token_file), config: None };
        assert_eq!(named.find_beside(&usual, silent).unwrap().call("stop", &json!([])), Ok(json!("done")));
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_token_that_is_missing_or_another_is_told_with_its_file() {
        let address = serve().to_string();
        let said = |token| {
            let directory = configure("token", &address, token);
            let pool = Reach::default().find_beside(&directory.join("edgepool.json"), silent).unwrap();
            fs::remove_file(directory.join("edgepool.json")).unwrap();
            let said = pool.call("stop", &json!([])).unwrap_err();
            assert!(said.contains(&directory.join("admin.token").display().to_string()), "{said}");
            fs::remove_dir_all(directory).unwrap();
            said
        };
        let missing = said(None);
        assert!(missing.contains("stop needs the admin token") && missing.contains("--token-file"), "{missing}");
        let other = said(Some("another token than the pool's"));
        assert!(other.starts_with("the pool has another admin token"), "{other}");
    }

    #[test]
    fn a_usual_configuration_with_mistakes_is_warned_of_and_a_named_one_refused() {
        let directory = configure("wrong", "nowhere", None);
        let usual = directory.join("edgepool.json");
        let mut warned = String::new();
        let pool = Reach::default().find_beside(&usual, |what| warned = what.into()).unwrap();
        assert_eq!(pool.url.url, DEFAULT_URL);
        assert!(warned.contains("has mistakes") && warned.contains(DEFAULT_URL), "{warned}");
        assert_eq!(pool.token_file, None, "whose port that is nobody said");
        let named = Reach { config: Some(usual), ..Reach::default() };
        assert!(named.find_beside(Path::new("none"), silent).is_err_and(|said| said.contains("rpc.listen: ")));
        fs::remove_dir_all(directory).unwrap();
        let absent = Reach::default().find_beside(Path::new("/nowhere/edgepool.json"), silent).unwrap();
        assert_eq!((absent.url.url.as_str(), absent.unread), (DEFAULT_URL, None));
    }
}
