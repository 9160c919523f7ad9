//! `http://` and `https://`: directory pages, or a list of files that every delivery has.

use super::html::Links;
use super::page::Page;
use super::{
    Access, Connection, Entry, EntryKind, Found, MAX_ENTRIES, Probe, Sink, Source, SourceFault,
    Span, below, endless,
};
use crate::manifest::Manifest;
use base64::Engine as _;
use model::RefusalCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::ffi::OsString;
use std::io::Read;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use ureq::http::{Response, StatusCode};
use ureq::tls::{PemItem, RootCerts, TlsConfig};
use ureq::{Agent, Body, RequestBuilder, typestate::WithoutBody};
use url::Url;

/// Characters that are not escaped in a part of a path (RFC 3986, unreserved).
pub(super) const PATH_PART: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Longest page or list; a longer one is an error.
const PAGE_BYTES: u64 = 64 << 20;

/// Makes a client that stops waiting for a server without response.
pub(super) fn agent(access: &Access) -> Result<Agent, SourceFault> {
    let seconds = |n: u64| Some(Duration::from_secs(n));
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(seconds(15))
        .timeout_resolve(seconds(15))
        .timeout_send_request(seconds(30))
        .timeout_recv_response(seconds(access.stall.seconds.max(1)))
        .timeout_per_read(seconds(access.stall.seconds.max(1)))
        .max_idle_connections(2 * access.max_connections.max(1))
        .max_idle_connections_per_host(2 * access.max_connections.max(1))
        .user_agent(concat!("almagest/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(authorities(access)?).build())
        .proxy(None)
        .build();
    Ok(config.new_agent())
}

/// Returns the trusted authorities: those of a file, of the system, or, if it has none, those that browsers trust.
fn authorities(access: &Access) -> Result<RootCerts, SourceFault> {
    let Some(path) = access.ca_file.clone().or_else(files::system_authorities) else {
        return Ok(RootCerts::WebPki);
    };
    let fault = |why: &dyn std::fmt::Display| {
        SourceFault::lasting(RefusalCode::NO_AUTHORITIES, path.display().to_string(), why)
    };
    let text = std::fs::read(&path).map_err(|e| fault(&e))?;
    let certificates: Vec<_> = ureq::tls::parse_pem(&text)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    match certificates.is_empty() {
        true => Err(fault(&"the file contains no certificate")),
        false => Ok(RootCerts::new_with_certs(&certificates)),
    }
}

/// Makes the fault of a request without response. The URL is not shown, because it may be signed.
pub(super) fn no_response(place: &str, error: &ureq::Error) -> SourceFault {
    let why = match error {
        ureq::Error::Timeout(_) => "no data arrived for too long".to_owned(),
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::HostNotFound => "no such host".to_owned(),
        ureq::Error::Rustls(error) => {
            return SourceFault::lasting(RefusalCode::NO_ACCESS, place, format!("TLS: {error}"));
        }
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
            return SourceFault::lasting(RefusalCode::NO_ADDRESS, place, "not a valid URL");
        }
        // The server is reachable, and responds in this way to every request for this file.
        ureq::Error::TooManyRedirects | ureq::Error::RedirectFailed => {
            return SourceFault::lasting(
                RefusalCode::REFUSED_BY_SOURCE,
                place,
                "too many redirects",
            );
        }
        ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) => {
            let why = format!("invalid HTTP response: {error}");
            return SourceFault::lasting(RefusalCode::REFUSED_BY_SOURCE, place, why);
        }
        other => other.to_string(),
    };
    SourceFault::passing(place, why)
}

/// Makes the fault of an unexpected response.
pub(super) fn refused(place: &str, status: StatusCode) -> SourceFault {
    let why = format!("the server responded with {status}");
    match status.as_u16() {
        404 | 410 => SourceFault::lasting(RefusalCode::MISSING_FILE, place, "not found"),
        401 | 403 => SourceFault::lasting(RefusalCode::UNREADABLE, place, why),
        412 | 416 => SourceFault::Changed { place: place.to_owned() },
        408 | 425 | 429 | 500..=599 => SourceFault::busy(place, why),
        _ => SourceFault::lasting(RefusalCode::REFUSED_BY_SOURCE, place, why),
    }
}

/// Returns the description of a file in the headers of a response.
pub(super) fn described(name: OsString, response: &Response<Body>) -> Entry {
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let modified =
        header("last-modified").and_then(|t| chrono::DateTime::parse_from_rfc2822(t).ok());
    Entry {
        name,
        kind: EntryKind::File,
        bytes: header("content-length").and_then(|n| n.parse().ok()),
        modified_ns: modified.and_then(|t| t.timestamp_nanos_opt()).unwrap_or(0),
        tag: header("etag").unwrap_or_default().to_owned(),
        has_ranges: header("accept-ranges").is_some_and(|r| r.contains("bytes")),
        locator: None,
        note: String::new(),
    }
}

/// Returns the text of a page or list, whole.
///
/// # Errors
/// [`SourceFault`] for one that is longer than [`PAGE_BYTES`] or ends early.
pub(super) fn listed(place: &str, response: Response<Body>) -> Result<String, SourceFault> {
    let mut bytes = Vec::new();
    let mut body = response.into_body().into_reader().take(PAGE_BYTES + 1);
    body.read_to_end(&mut bytes).map_err(|e| SourceFault::passing(place, e))?;
    if bytes.len() as u64 > PAGE_BYTES {
        let why = format!("the list of files is longer than {PAGE_BYTES} bytes");
        return Err(SourceFault::lasting(RefusalCode::LIST_TOO_LONG, place, why));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Writes the body of a response to a request for a span into the sink.
pub(super) fn copy_body(
    place: &str,
    response: Response<Body>,
    wanted: &Entry,
    span: Span,
    sink: &mut Sink<'_>,
) -> Result<(), SourceFault> {
    let header =
        |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let (mut skip, whole) = match response.status().as_u16() {
        206 => {
            let stated = header("content-range").unwrap_or_default();
            let (part, all) =
                stated.trim_start_matches("bytes ").split_once('/').unwrap_or(("", ""));
            let from = part.split_once('-').and_then(|(from, _)| from.parse().ok());
            if from != Some(span.from) {
                return Err(SourceFault::passing(
                    place,
                    format!("the server returned another range: {stated}"),
                ));
            }
            (0, all.parse().ok())
        }
        // A server may respond with the whole file.
        200 => (span.from, header("content-length").and_then(|n| n.parse().ok())),
        _ => return Err(refused(place, response.status())),
    };
    let is_other =
        |stated: Option<u64>| stated.is_some() && wanted.bytes.is_some() && stated != wanted.bytes;
    let tag = header("etag").unwrap_or_default();
    if is_other(whole) || !tag.is_empty() && !wanted.tag.is_empty() && tag != wanted.tag {
        return Err(SourceFault::Changed { place: place.to_owned() });
    }
    let mut body = response.into_body().into_reader();
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

/// Makes a request for a span of the listed content, and for nothing else.
pub(super) fn ranged(
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

    fn url(&self, directory: &str, name: &str) -> String {
        let part = |text: &str| utf8_percent_encode(text, PATH_PART).to_string();
        below(&self.url, &part(directory), &part(name))
    }

    fn authorized(&self, request: RequestBuilder<WithoutBody>) -> RequestBuilder<WithoutBody> {
        let Some(secret) = &self.access.secret else { return request };
        let value = if self.access.user.is_empty() {
            format!("Bearer {}", secret.reveal())
        } else {
            let pair = format!("{}:{}", self.access.user, secret.reveal());
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        };
        request.header("Authorization", value)
    }

    /// Returns the text at an address, and true when the server stated its end.
    fn text(&self, url: &str) -> Result<(String, bool), SourceFault> {
        let response =
            self.authorized(self.agent.get(url)).call().map_err(|e| no_response(url, &e))?;
        if response.status() != StatusCode::OK {
            return Err(refused(url, response.status()));
        }
        let is_framed = response.headers().contains_key("content-length")
            || response.headers().contains_key("transfer-encoding");
        Ok((listed(url, response)?, is_framed))
    }

    fn page(&self, directory: &str) -> Result<(Page, String), SourceFault> {
        let url = self.url(directory, "") + "/";
        let (text, is_framed) = self.text(&url)?;
        let at = Url::parse(&url).map_err(|e| {
            SourceFault::lasting(RefusalCode::NO_ADDRESS, &url, format!("not a valid URL: {e}"))
        })?;
        let links = Links::read(&text);
        if links.is_cut || !is_framed && links.is_opened && !links.is_closed {
            return Err(SourceFault::busy(&url, "the list of files is truncated"));
        }
        let page = Page::of(&links, &at);
        match page.files.len() + page.directories.len() > MAX_ENTRIES {
            true => Err(endless(url)),
            false => Ok((page, text)),
        }
    }

    /// Returns the list of a delivery, before its files are queried, and the text of the list.
    fn names(&self, directory: &str) -> Result<(Vec<Entry>, String), SourceFault> {
        if self.access.listing.is_empty() {
            let (page, text) = self.page(directory)?;
            let file = |(name, locator): (String, Option<String>)| Entry {
                locator: locator.map(OsString::from),
                ..Entry::named(name.into(), EntryKind::File)
            };
            let link = |(name, note): (String, String)| Entry {
                note,
                ..Entry::named(name.into(), EntryKind::Elsewhere)
            };
            let files = page.files.into_iter().map(file);
            return Ok((files.chain(page.elsewhere.into_iter().map(link)).collect(), text));
        }
        let (text, _) = self.text(&self.url(directory, &self.access.listing))?;
        let mut list = Manifest::default();
        list.add(&self.access.listing, &text);
        let names = list.files().map(str::to_owned).chain([self.access.listing.clone()]);
        Ok((names.map(|name| Entry::named(name.into(), EntryKind::File)).collect(), text))
    }

    /// Returns the URL of a file.
    fn url_of(&self, directory: &str, entry: &Entry) -> String {
        match &entry.locator {
            Some(url) => url.to_string_lossy().into_owned(),
            None => self.url(directory, &entry.name.to_string_lossy()),
        }
    }

    fn head(&self, directory: &str, entry: &Entry) -> Result<Entry, SourceFault> {
        let url = self.url_of(directory, entry);
        let response =
            self.authorized(self.agent.head(&url)).call().map_err(|e| no_response(&url, &e))?;
        match response.status().as_u16() {
            200 => Ok(Entry {
                locator: entry.locator.clone(),
                ..described(entry.name.clone(), &response)
            }),
            // A server that does not support HEAD may still have the file.
            405 | 501 => Ok(name_only(entry)),
            _ => Err(refused(&url, response.status())),
        }
    }

    /// Queries many files at once. A fault of one file is found again when it is read, and does not affect the others.
    fn heads(&self, directory: &str, listed: &[Entry]) -> Result<Vec<Entry>, SourceFault> {
        let (next, silent) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let found = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..self.access.max_connections.clamp(1, 16).min(listed.len().max(1)) {
                scope.spawn(|| {
                    while let Some(entry) = listed.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if silent.load(Ordering::Relaxed) >= MAX_SILENT {
                            return;
                        }
                        // A name that will be refused is not queried.
                        let is_queried = entry.kind == EntryKind::File
                            && crate::names::fault(&entry.name).is_none();
                        let queried = match is_queried {
                            true => self.head(directory, entry),
                            false => Ok(entry.clone()),
                        };
                        match &queried {
                            Err(SourceFault::Passing { is_answered: false, .. }) => {
                                silent.fetch_add(1, Ordering::Relaxed);
                            }
                            _ if is_queried => silent.store(0, Ordering::Relaxed),
                            _ => {}
                        }
                        if let Ok(mut found) = found.lock() {
                            found.push((entry, queried));
                        }
                    }
                });
            }
        });
        let found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_silent = silent.load(Ordering::Relaxed) >= MAX_SILENT
            || !found.iter().any(|(_, queried)| queried.is_ok());
        let mut entries = Vec::new();
        for (entry, queried) in found {
            match queried {
                Ok(entry) => entries.push(entry),
                Err(fault @ SourceFault::Passing { is_answered: false, .. }) if is_silent => {
                    return Err(fault);
                }
                // The file is listed, but missing: a list may be ahead of its files.
                Err(SourceFault::Lasting { code: RefusalCode::MISSING_FILE, .. }) => {
                    entries.push(Entry {
                        kind: EntryKind::Elsewhere,
                        note: "the file is listed, and the server does not have it".to_owned(),
                        ..name_only(entry)
                    })
                }
                // The file is listed nevertheless; reading it will report the reason.
                Err(_) => entries.push(name_only(entry)),
            }
        }
        Ok(entries)
    }
}

/// Consecutive files whose queries get no response, after which the server is not queried for others.
const MAX_SILENT: usize = 8;

/// Makes the entry of a file of which the server reported nothing but the name.
fn name_only(listed: &Entry) -> Entry {
    Entry { locator: listed.locator.clone(), ..Entry::named(listed.name.clone(), EntryKind::File) }
}

impl Source for Http {
    fn deliveries(&self) -> Result<Found, SourceFault> {
        let (page, _) = self.page("")?;
        let names = page.directories.into_iter().map(OsString::from).collect();
        Ok(Found { names, skipped: Vec::new() })
    }

    fn list(&self, directory: &str) -> Result<Vec<Entry>, SourceFault> {
        let (listed, _) = self.names(directory)?;
        self.heads(directory, &listed)
    }

    fn probe(&self, directory: &str) -> Result<Probe, SourceFault> {
        let (listed, text) = self.names(directory)?;
        let names = listed.iter().map(|e| e.name.to_string_lossy().into_owned()).collect();
        Ok(Probe { names, fingerprint: twox_hash::XxHash64::oneshot(0, text.as_bytes()) })
    }

    fn is_slow_to_list(&self) -> bool {
        true
    }

    fn connect(&self) -> Result<Box<dyn Connection>, SourceFault> {
        Ok(Box::new(self.clone()))
    }

    fn place(&self, directory: &str) -> String {
        below(&self.url, directory, "")
    }
}

impl Connection for Http {
    fn read(
        &mut self,
        directory: &str,
        wanted: &Entry,
        span: Span,
        sink: &mut Sink<'_>,
    ) -> Result<(), SourceFault> {
        let url = self.url_of(directory, wanted);
        let request = ranged(self.authorized(self.agent.get(&url)), wanted, span);
        let response = request.call().map_err(|e| no_response(&url, &e))?;
        copy_body(&url, response, wanted, span, sink)
    }

    fn stat(&mut self, directory: &str, wanted: &Entry) -> Result<Entry, SourceFault> {
        self.head(directory, wanted)
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
