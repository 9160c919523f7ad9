//! The address of a source, as an operator writes it; and its secrets, which are never printed.

use model::HostName;
use std::fmt;
use std::path::{Path, PathBuf};

/// The place from which deliveries are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A directory on this machine, or mounted.
    Directory(PathBuf),
    /// `ssh://[user@]host[:port]/path`: SFTP through the system's ssh.
    Ssh(SshPlace),
    /// `http://` or `https://`.
    Http(String),
    /// `s3://bucket/prefix`.
    S3(S3Place),
}

/// A directory of another computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshPlace {
    /// User; empty for ssh's default.
    pub user: String,
    /// Host as ssh takes it.
    pub host: HostName,
    /// Port; `None` for ssh's default.
    pub port: Option<u16>,
    /// Path; relative ones (`ssh://host/~/nights`) are below the user's home.
    pub path: String,
}

/// Keys of a bucket with a common prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Place {
    /// Bucket.
    pub bucket: String,
    /// Beginning of the keys, without a slash at its ends; may be empty.
    pub prefix: String,
}

/// Text that is not a valid address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AddressFault(pub String);

impl Address {
    /// Parses a URL or a path; relative paths are below `root`.
    ///
    /// # Errors
    /// For a scheme that is not known, a URL that lacks a host or bucket, and one that holds a password.
    pub fn parse(text: &str, root: &Path) -> Result<Self, AddressFault> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return match text {
                "" => Err(AddressFault("the address is empty".to_owned())),
                path => Ok(Self::Directory(root.join(path))),
            };
        };
        let fault = |why: &str| Err(AddressFault(format!("{}: {why}", without_secrets(text))));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        if user.contains(':') {
            return fault(
                "a password does not belong in a URL: name a file of mode 0600 (secret_file) or an \
                          environment variable (secret_env)",
            );
        }
        if text.chars().any(|c| c.is_control() || c == ' ') {
            return fault("the URL contains a blank or a control character");
        }
        if host.is_empty() && scheme != "file" {
            return fault("the URL names no host or bucket");
        }
        match scheme {
            "file" => Ok(Self::Directory(PathBuf::from(format!("/{path}")))),
            "ssh" | "sftp" => ssh(user, host, path)
                .map_or_else(|| fault("the URL is not a valid ssh address"), |p| Ok(Self::Ssh(p))),
            "http" | "https" if user.is_empty() => {
                Ok(Self::Http(text.trim_end_matches('/').to_owned()))
            }
            "http" | "https" => fault("a user name does not belong in this URL: set user"),
            "s3" if user.is_empty() => Ok(Self::S3(S3Place {
                bucket: host.to_owned(),
                prefix: path.trim_matches('/').to_owned(),
            })),
            "s3" => fault("a user name does not belong in this URL: set user"),
            _ => fault("the scheme is not ssh, http, https or s3; a directory is given as a path"),
        }
    }

    /// Returns the same place in one form: a directory without links, hosts in lower case, no port that is the usual one.
    #[must_use]
    pub fn canonical(&self) -> Self {
        match self {
            Self::Directory(path) => {
                Self::Directory(path.canonicalize().unwrap_or_else(|_| path.clone()))
            }
            Self::Ssh(place) => Self::Ssh(SshPlace {
                host: place.host.to_ascii_lowercase(),
                port: place.port.filter(|port| *port != 22),
                ..place.clone()
            }),
            Self::Http(text) => match url::Url::parse(text) {
                Ok(url) => Self::Http(url.as_str().trim_end_matches('/').to_owned()),
                Err(_) => self.clone(),
            },
            Self::S3(_) => self.clone(),
        }
    }

    /// Returns the delivery that an address names, and the directory that holds it.
    pub fn split_last(&self) -> Option<(Self, String)> {
        let cut = |path: &str| {
            let path = path.trim_end_matches('/');
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            (!name.is_empty()).then(|| (parent.to_owned(), name.to_owned()))
        };
        match self {
            Self::Directory(path) => {
                let name = path.file_name()?.to_str()?.to_owned();
                Some((Self::Directory(path.parent()?.to_owned()), name))
            }
            Self::Ssh(place) => {
                let (path, name) = cut(&place.path)?;
                let path = if path.is_empty() && place.path.starts_with('/') {
                    "/".to_owned()
                } else {
                    path
                };
                Some((Self::Ssh(SshPlace { path, ..place.clone() }), name))
            }
            Self::Http(url) => {
                let (scheme, rest) = url.split_once("://")?;
                let (host, path) = rest.split_once('/')?;
                let (path, name) = cut(path)?;
                let url = format!("{scheme}://{host}/{path}");
                Some((Self::Http(url.trim_end_matches('/').to_owned()), name))
            }
            Self::S3(place) => {
                let (prefix, name) = cut(&place.prefix)?;
                Some((Self::S3(S3Place { prefix, ..place.clone() }), name))
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::Ssh(place) => write!(f, "{place}"),
            Self::Http(url) => write!(f, "{url}"),
            Self::S3(place) => write!(f, "s3://{}/{}", place.bucket, place.prefix),
        }
    }
}

impl fmt::Display for SshPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ssh://")?;
        if !self.user.is_empty() {
            write!(f, "{}@", self.user)?;
        }
        write!(f, "{}", self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        let slash = if self.path.starts_with('/') { "" } else { "/~/" };
        write!(f, "{slash}{}", self.path)
    }
}

fn ssh(user: &str, authority: &str, path: &str) -> Option<SshPlace> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, port.strip_prefix(':'))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = port.map(str::parse).transpose().ok()?;
    if user.starts_with('-') {
        return None; // ssh would take it for an option
    }
    let host = HostName::new(host).ok()?;
    let path = path.trim_end_matches('/');
    let path = match path.strip_prefix('~') {
        Some(home) => home.trim_start_matches('/').to_owned(),
        None => format!("/{path}"),
    };
    Some(SshPlace { user: user.to_owned(), host, port, path })
}

/// Returns a URL without the part before the host, so that it can be shown.
fn without_secrets(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (authority, path) = rest.split_once('/').map_or((rest, None), |(a, p)| (a, Some(p)));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{}", path.map(|p| format!("/{p}")).unwrap_or_default())
}

/// A password, token or key. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns the text, for the sender of a request.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, AddressFault> {
        Address::parse(text, Path::new("/site"))
    }

    #[test]
    fn addresses_are_read_and_shown() {
        for (text, shown) in [
            ("inbox", "/site/inbox"),
            ("/data/inbox", "/data/inbox"),
            ("file:///data/inbox", "/data/inbox"),
            ("ssh://casu/nights", "ssh://casu/nights"),
            (
                "sftp://wfcam@casu.example.org:2222/data/nights",
                "ssh://wfcam@casu.example.org:2222/data/nights",
            ),
            ("ssh://casu/~/nights/", "ssh://casu/~/nights"),
            ("https://casu.example.org/nights/", "https://casu.example.org/nights"),
            ("s3://survey/raw/2007/", "s3://survey/raw/2007"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn an_invalid_address_is_refused_without_its_secret() {
        for text in [
            "ftp://host/x",
            "ssh:///x",
            "ssh://-oProxyCommand=x/y",
            "https://me@host/x",
            "s3:///x",
            "",
            "ssh://user:geheim@host/x",
            "https://user:geheim@host/x",
            "ssh://ho st/x",
        ] {
            let fault = parse(text).unwrap_err().to_string();
            assert!(!fault.contains("geheim"), "{fault}");
        }
        assert_eq!(format!("{:?}", Secret::new("geheim".to_owned())), "Secret(…)");
    }

    #[test]
    fn the_last_part_is_the_delivery() {
        for (text, root) in [
            ("/data/20071011_v1", "/data"),
            ("ssh://casu/nights/20071011_v1/", "ssh://casu/nights"),
            ("ssh://casu/20071011_v1", "ssh://casu/"),
            ("https://casu/20071011_v1", "https://casu"),
            ("s3://survey/raw/20071011_v1", "s3://survey/raw"),
        ] {
            let (address, name) = parse(text).unwrap().split_last().unwrap();
            assert_eq!(
                (address.to_string().as_str(), name.as_str()),
                (root, "20071011_v1"),
                "{text}"
            );
        }
        assert!(parse("s3://survey").unwrap().split_last().is_none());
        assert!(parse("https://casu").unwrap().split_last().is_none());
    }
}
