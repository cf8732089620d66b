//! Secrets: how the pool logs in at its nodes, and the token that its own administrator shows. They are
//! read from files when they are needed and never appear in logs, errors or `Debug`.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Longest secret file that is read, in bytes.
const FILE: u64 = 4_096;
/// Shortest admin token that is accepted, in characters.
const TOKEN_MIN: usize = 16;

/// How to log in at a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// The node asks for nothing.
    None,
    /// The node's own cookie file, which it writes anew at every start.
    Cookie(PathBuf),
    /// A user of the node's configuration.
    Password {
        /// `rpcuser`, or the name in `rpcauth`.
        user: String,
        /// Its password.
        password: Password,
    },
}

/// Where a password is.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// In the first line of a file.
    File(PathBuf),
    /// In the configuration itself.
    Inline(String),
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Password::File(path) => f.debug_tuple("File").field(path).finish(),
            Password::Inline(_) => f.write_str("Inline(hidden)"),
        }
    }
}

impl Secret {
    /// `user:password` as HTTP's basic authentication takes it, read afresh, and empty when the node asks
    /// for nothing. The error names the file and what to do, never what is in it.
    pub fn credentials(&self) -> Result<String, String> {
        match self {
            Secret::None => Ok(String::new()),
            Secret::Password { user, password: Password::Inline(password) } => Ok(format!("{user}:{password}")),
            Secret::Password { user, password: Password::File(path) } => {
                let password = first_line(path).map_err(|error| unreadable("password_file", path, &error))?;
                Ok(format!("{user}:{password}"))
            }
            Secret::Cookie(path) => {
                let cookie = first_line(path).map_err(|error| unreadable("cookie_file", path, &error))?;
                if cookie.contains(':') {
                    Ok(cookie)
                } else {
                    Err(format!("cookie_file {} is not a node's cookie; check the path", path.display()))
                }
            }
        }
    }
}

fn unreadable(key: &str, path: &Path, error: &io::Error) -> String {
    let advice = match error.kind() {
        ErrorKind::NotFound if key == "cookie_file" => "start the node, or check the path",
        ErrorKind::PermissionDenied => "let edgepool's user read it",
        _ => "check the path",
    };
    format!("{key} {} can't be read: {error}; {advice}", path.display())
}

fn first_line(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(FILE).read_to_string(&mut text)?;
    Ok(text.lines().next().unwrap_or("").trim().to_string())
}

/// What `Authorization: Bearer` must carry to change anything over the status port.
#[derive(Clone)]
pub struct AdminToken(String);

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(hidden)")
    }
}

impl AdminToken {
    /// Reads the token, or makes one (32 random bytes in hexadecimal, file mode 0600) where there is no
    /// file yet. The directory must exist.
    pub fn read_or_make(path: &Path) -> Result<AdminToken, String> {
        match AdminToken::make(path) {
            Ok(token) => Ok(token),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => AdminToken::read(path),
            Err(error) => Err(format!(
                "admin_token_file {} can't be made: {error}; check rpc.admin_token_file and its directory",
                path.display()
            )),
        }
    }

    /// Reads the token of a running pool.
    pub fn read(path: &Path) -> Result<AdminToken, String> {
        let token = first_line(path).map_err(|error| unreadable("token file", path, &error))?;
        if token.len() < TOKEN_MIN {
            return Err(format!(
                "the token in {} is shorter than {TOKEN_MIN} characters; delete the file, and the next start makes one",
                path.display()
            ));
        }
        Ok(AdminToken(token))
    }

    fn make(path: &Path) -> io::Result<AdminToken> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let mut random = [0; 32];
        let written = getrandom::fill(&mut random)
            .map_err(io::Error::other)
            .and_then(|()| writeln!(file, "{}", hex::encode(random)))
            .and_then(|()| file.sync_all());
        if let Err(error) = written {
            // Half a token must not be taken for one at the next start.
            let _ = fs::remove_file(path);
            return Err(error);
        }
        Ok(AdminToken(hex::encode(random)))
    }

    /// Whether `shown` is the token, in a time that doesn't depend on where it differs.
    pub fn admits(&self, shown: &str) -> bool {
        let (own, shown) = (self.0.as_bytes(), shown.as_bytes());
        let pairs = own.iter().zip(shown.iter().chain(std::iter::repeat(&0)));
        let different = pairs.fold(0, |sum, (own, shown)| std::hint::black_box(sum | (own ^ shown)));
        different == 0 && own.len() == shown.len()
    }

    /// The value of an `Authorization` header that shows this token.
    pub fn authorization(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

/// A seed for the core's chance, different in every run.
pub fn random_seed() -> io::Result<u64> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    Ok(u64::from_le_bytes(seed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("edgepool-secrets-{}-{name}", std::process::id()));
        // Left behind by a process that had the same id.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn a_token_is_made_once_for_its_owner_alone_and_admits_only_itself() {
        let directory = scratch("token");
        let path = directory.join("admin.token");
        let made = AdminToken::read_or_make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.trim().len(), 64);
        let read = AdminToken::read_or_make(&path).unwrap();
        assert!(read.admits(text.trim()) && made.admits(text.trim()));
        assert_eq!(read.authorization(), format!("Bearer {}", text.trim()));
        let flipped = text.trim().replacen(|_: char| true, "x", 1);
        for wrong in ["", &text, &text[..63], &flipped, &format!("{}\0", text.trim())] {
            assert!(!read.admits(wrong), "{wrong:?}");
        }
        assert!(!format!("{read:?}").contains(text.trim()));
        fs::write(&path, "short\n").unwrap();
        assert!(AdminToken::read_or_make(&path).unwrap_err().contains("shorter than 16"));
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn credentials_come_from_files_without_their_line_ends() {
        let directory = scratch("login");
        let (cookie, password) = (directory.join(".cookie"), directory.join("node.pass"));
        let login = Secret::Cookie(cookie.clone());
        assert!(login.credentials().unwrap_err().ends_with("start the node, or check the path"));
        fs::write(&cookie, "__cookie__:00ff").unwrap();
        fs::write(&password, "pass word\r\nsecond line\n").unwrap();
        assert_eq!(login.credentials().unwrap(), "__cookie__:00ff");
        let from_file = Secret::Password { user: "u".into(), password: Password::File(password.clone()) };
        assert_eq!(from_file.credentials().unwrap(), "u:pass word");
        let refused = Secret::Cookie(password).credentials().unwrap_err();
        assert!(refused.contains("not a node's cookie") && !refused.contains("pass word"), "{refused}");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn an_inline_password_is_not_shown() {
        let secret = Secret::Password { user: "u".into(), password: Password::Inline("hunter2".into()) };
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(secret.credentials().unwrap(), "u:hunter2");
    }
}
