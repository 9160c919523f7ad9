//! `http://` and `https://`: directory pages, or a list of files that every delivery has.

use super::page::Page;
use super::{Access, Entry, EntryKind, Glance, Line, Sink, Source, SourceFault, Span, below};
use crate::manifest::Manifest;
use base64::Engine as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::ffi::OsString;
use std::io::Read;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use ureq::http::{Response, StatusCode};
use ureq::tls::{PemItem, RootCerts, TlsConfig};
use ureq::{Agent, Body, RequestBuilder, typestate::WithoutBody};

/// What a part of a path may hold as it is (RFC 3986, unreserved).
pub(super) const PATH_PART: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// A page or list is read up to this length.
const PAGE_BYTES: u64 = 64 << 20;

/// A client that gives up on what does not answer.
pub(super) fn agent(access: &Access) -> Result<Agent, SourceFault> {
    let seconds = |n: u64| Some(Duration::from_secs(n));
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(seconds(15))
        .timeout_resolve(seconds(15))
        .timeout_send_request(seconds(30))
        .timeout_recv_response(seconds(access.stall.seconds.max(1)))
        .timeout_per_read(seconds(access.stall.seconds.max(1)))
        .max_idle_connections(2 * access.lines_most.max(1))
        .max_idle_connections_per_host(2 * access.lines_most.max(1))
        .user_agent(concat!("almagest/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(authorities(access)?).build())
        .proxy(None)
        .build();
    Ok(config.new_agent())
}

/// Whom to trust: those of a file, of the system, or, where it has none, those that browsers trust.
fn authorities(access: &Access) -> Result<RootCerts, SourceFault> {
    let Some(path) = access.authorities.clone().or_else(files::system_authorities) else {
        return Ok(RootCerts::WebPki);
    };
    let fault = |why: &dyn std::fmt::Display| {
        SourceFault::lasting("no_authorities", path.display().to_string(), why)
    };
    let text = std::fs::read(&path).map_err(|e| fault(&e))?;
    let certificates: Vec<_> = ureq::tls::parse_pem(&text)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    match certificates.is_empty() {
        true => Err(fault(&"it holds no certificate")),
        false => Ok(RootCerts::new_with_certs(&certificates)),
    }
}

/// What became of a request that was not answered. The URL is not shown: it may be signed.
pub(super) fn unanswered(place: &str, error: &ureq::Error) -> SourceFault {
    let why = match error {
        ureq::Error::Timeout(_) => "nothing came for too long".to_owned(),
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::HostNotFound => "there is no such host".to_owned(),
        ureq::Error::Rustls(error) => {
            return SourceFault::lasting("no_access", place, format!("TLS: {error}"));
        }
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
            return SourceFault::lasting("no_address", place, "it is no URL");
        }
        other => other.to_string(),
    };
    SourceFault::passing(place, why)
}

/// What an answer other than the one hoped for means.
pub(super) fn refused(place: &str, status: StatusCode) -> SourceFault {
    let why = format!("the server answers {status}");
    match status.as_u16() {
        404 | 410 => SourceFault::lasting("missing_file", place, "it is not there"),
        401 | 403 => SourceFault::lasting("unreadable", place, why),
        412 | 416 => SourceFault::Changed { place: place.to_owned() },
        408 | 425 | 429 | 500..=599 => SourceFault::busy(place, why),
        _ => SourceFault::lasting("refused_by_source", place, why),
    }
}

/// What the headers of an answer say of a file.
pub(super) fn described(name: OsString, answer: &Response<Body>) -> Entry {
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let modified =
        header("last-modified").and_then(|t| chrono::DateTime::parse_from_rfc2822(t).ok());
    Entry {
        name,
        kind: EntryKind::File,
        bytes: header("content-length").and_then(|n| n.parse().ok()),
        modified_ns: modified.and_then(|t| t.timestamp_nanos_opt()).unwrap_or(0),
        tag: header("etag").unwrap_or_default().to_owned(),
        has_ranges: header("accept-ranges").is_some_and(|r| r.contains("bytes")),
    }
}

/// Puts the body of an answer to a request for a span into the sink.
pub(super) fn pour(
    place: &str,
    answer: Response<Body>,
    wanted: &Entry,
    span: Span,
    sink: &mut Sink<'_>,
) -> Result<(), SourceFault> {
    let header =
        |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let (mut skip, whole) = match answer.status().as_u16() {
        206 => {
            let told = header("content-range").unwrap_or_default();
            let (part, all) = told.trim_start_matches("bytes ").split_once('/').unwrap_or(("", ""));
            let from = part.split_once('-').and_then(|(from, _)| from.parse().ok());
            if from != Some(span.from) {
                return Err(SourceFault::passing(
                    place,
                    format!("the server answers with another part: {told}"),
                ));
            }
            (0, all.parse().ok())
        }
        // A server may answer with all of it.
        200 => (span.from, header("content-length").and_then(|n| n.parse().ok())),
        _ => return Err(refused(place, answer.status())),
    };
    let is_other =
        |told: Option<u64>| told.is_some() && wanted.bytes.is_some() && told != wanted.bytes;
    let tag = header("etag").unwrap_or_default();
    if is_other(whole) || !tag.is_empty() && !wanted.tag.is_empty() && tag != wanted.tag {
        return Err(SourceFault::Changed { place: place.to_owned() });
    }
    let mut body = answer.into_body().into_reader();
    let mut buffer = vec![0; 1 << 18];
    let mut rest = span.to - span.from;
    while rest > 0 {
        let n = match body.read(&mut buffer) {
            Ok(0) if wanted.bytes.is_none() => return Ok(()),
            Ok(0) => return Err(SourceFault::passing(place, format!("{rest} bytes are missing"))),
            Ok(n) => n,
            Err(error) => return Err(SourceFault::passing(place, error)),
        };
        let skipped = skip.min(n as u64);
        skip -= skipped;
        let part = &buffer[usize::try_from(skipped).unwrap_or(n)..n];
        let part = &part[..part.len().min(usize::try_from(rest).unwrap_or(usize::MAX))];
        if !part.is_empty() {
            sink(part)?;
            rest -= part.len() as u64;
        }
    }
    Ok(())
}

/// A request for a span of what was listed, and for nothing else.
pub(super) fn asked_for(
    request: RequestBuilder<WithoutBody>,
    wanted: &Entry,
    span: Span,
) -> RequestBuilder<WithoutBody> {
    let is_whole = span.from == 0 && wanted.bytes.is_none_or(|bytes| bytes == span.to);
    let mut request = request;
    if !is_whole {
        request = request.header("Range", format!("bytes={}-{}", span.from, span.to - 1));
    }
    if wanted.tag.starts_with('"') {
        request = request.header("If-Match", &wanted.tag);
    } else if wanted.modified_ns != 0 {
        let at = chrono::DateTime::from_timestamp_nanos(wanted.modified_ns);
        request = request
            .header("If-Unmodified-Since", at.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
    }
    request
}

/// A file of which the server told nothing but the name.
fn untold(name: &str) -> Entry {
    Entry {
        name: name.into(),
        kind: EntryKind::File,
        bytes: None,
        modified_ns: 0,
        tag: String::new(),
        has_ranges: false,
    }
}

/// A tree of pages.
#[derive(Clone)]
pub(super) struct Http {
    url: String,
    access: Access,
    agent: Agent,
}

impl Http {
    pub(super) fn new(url: String, access: Access) -> Result<Self, SourceFault> {
        Ok(Self { url, agent: agent(&access)?, access })
    }

    fn url(&self, delivery: &str, name: &str) -> String {
        let part = |text: &str| utf8_percent_encode(text, PATH_PART).to_string();
        below(&self.url, &part(delivery), &part(name))
    }

    fn dressed(&self, request: RequestBuilder<WithoutBody>) -> RequestBuilder<WithoutBody> {
        let Some(secret) = &self.access.secret else { return request };
        let value = if self.access.user.is_empty() {
            format!("Bearer {}", secret.reveal())
        } else {
            let pair = format!("{}:{}", self.access.user, secret.reveal());
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        };
        request.header("Authorization", value)
    }

    fn text(&self, url: &str) -> Result<String, SourceFault> {
        let answer = self.dressed(self.agent.get(url)).call().map_err(|e| unanswered(url, &e))?;
        if answer.status() != StatusCode::OK {
            return Err(refused(url, answer.status()));
        }
        let mut bytes = Vec::new();
        answer
            .into_body()
            .into_reader()
            .take(PAGE_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|e| SourceFault::passing(url, e))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn page(&self, delivery: &str) -> Result<(Page, String), SourceFault> {
        let url = self.url(delivery, "") + "/";
        let text = self.text(&url)?;
        let path = url
            .split_once("://")
            .and_then(|(_, rest)| rest.find('/').map(|at| rest[at..].to_owned()));
        Ok((Page::read(&text, &path.unwrap_or_default()), text))
    }

    /// Names of the files of a delivery, the text that told them, and what it states about them.
    fn names(&self, delivery: &str) -> Result<(Vec<String>, String), SourceFault> {
        if self.access.listing.is_empty() {
            let (page, text) = self.page(delivery)?;
            return Ok((page.files.into_iter().collect(), text));
        }
        let text = self.text(&self.url(delivery, &self.access.listing))?;
        let mut list = Manifest::default();
        list.add(&self.access.listing, &text);
        let mut names: Vec<String> = list.files().map(str::to_owned).collect();
        names.push(self.access.listing.clone());
        Ok((names, text))
    }

    fn head(&self, delivery: &str, name: &str) -> Result<Entry, SourceFault> {
        let url = self.url(delivery, name);
        let answer =
            self.dressed(self.agent.head(&url)).call().map_err(|e| unanswered(&url, &e))?;
        match answer.status().as_u16() {
            200 => Ok(described(name.into(), &answer)),
            // A server that does not know the question may well have the file.
            405 | 501 => Ok(untold(name)),
            _ => Err(refused(&url, answer.status())),
        }
    }

    /// Asks for many files at once.
    fn heads(&self, delivery: &str, names: &[String]) -> Result<Vec<Entry>, SourceFault> {
        let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..self.access.lines_most.clamp(1, 16).min(names.len().max(1)) {
                scope.spawn(|| {
                    while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                        // A name that will be refused is not asked for.
                        let looked = match crate::names::fault(name.as_ref()) {
                            None => self.head(delivery, name),
                            Some(_) => Ok(untold(name)),
                        };
                        if let Ok(mut found) = found.lock() {
                            found.push((name, looked));
                        }
                    }
                });
            }
        });
        let found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut entries = Vec::new();
        for (name, looked) in found {
            match looked {
                Ok(entry) => entries.push(entry),
                // Listed, and not there: a list may be ahead of its files.
                Err(SourceFault::Lasting { code: "missing_file", .. }) => {}
                // It stands there all the same; reading it will say why not.
                Err(SourceFault::Lasting { .. }) => entries.push(untold(name)),
                Err(passing) => return Err(passing),
            }
        }
        Ok(entries)
    }
}

impl Source for Http {
    fn deliveries(&self) -> Result<Vec<OsString>, SourceFault> {
        Ok(self.page("")?.0.directories.into_iter().map(OsString::from).collect())
    }

    fn list(&self, delivery: &str) -> Result<Vec<Entry>, SourceFault> {
        let (names, _) = self.names(delivery)?;
        self.heads(delivery, &names)
    }

    fn glance(&self, delivery: &str) -> Result<Glance, SourceFault> {
        let (names, text) = self.names(delivery)?;
        Ok(Glance { names, word: twox_hash::XxHash64::oneshot(0, text.as_bytes()) })
    }

    fn is_slow_to_list(&self) -> bool {
        true
    }

    fn line(&self) -> Result<Box<dyn Line>, SourceFault> {
        Ok(Box::new(self.clone()))
    }

    fn place(&self, delivery: &str) -> String {
        below(&self.url, delivery, "")
    }
}

impl Line for Http {
    fn read(
        &mut self,
        delivery: &str,
        wanted: &Entry,
        span: Span,
        sink: &mut Sink<'_>,
    ) -> Result<(), SourceFault> {
        let url = self.url(delivery, &wanted.name.to_string_lossy());
        let request = asked_for(self.dressed(self.agent.get(&url)), wanted, span);
        let answer = request.call().map_err(|e| unanswered(&url, &e))?;
        pour(&url, answer, wanted, span, sink)
    }

    fn look(&mut self, delivery: &str, wanted: &Entry) -> Result<Entry, SourceFault> {
        self.head(delivery, &wanted.name.to_string_lossy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_url_are_escaped() {
        let source = Http::new("http://h/nights".to_owned(), Access::default()).unwrap();
        assert_eq!(
            source.url("20071011_v1", "a b%/?.fit"),
            "http://h/nights/20071011_v1/a%20b%25%2F%3F.fit"
        );
        assert_eq!(source.place("20071011_v1"), "http://h/nights/20071011_v1");
    }
}
