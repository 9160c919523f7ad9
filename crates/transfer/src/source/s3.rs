//! `s3://`: any store with the S3 protocol. Requests are signed without I/O by a library and sent like any other HTTP request.

use super::address::S3Place;
use super::http::{agent, copy_body, described, listed, no_response, ranged, refused};
use super::{
    Access, Connection, Entry, EntryKind, Found, MAX_ENTRIES, Sink, Source, SourceFault, Span,
    endless,
};
use model::RefusalCode;
use rusty_s3::actions::{ListObjectsV2, ListObjectsV2Response, S3Action};
use rusty_s3::{Bucket, Credentials, UrlStyle};
use std::ffi::OsString;
use std::time::Duration;
use ureq::Agent;

/// Validity of a signed request: clocks need not agree to the second.
const SIGNATURE_VALIDITY: Duration = Duration::from_secs(900);

/// Keys of a bucket with a common prefix.
#[derive(Clone)]
pub(super) struct S3 {
    place: S3Place,
    bucket: Bucket,
    credentials: Option<Credentials>,
    agent: Agent,
}

impl S3 {
    pub(super) fn new(place: S3Place, access: Access) -> Result<Self, SourceFault> {
        let shown = format!("s3://{}", place.bucket);
        let fault = |why: &dyn std::fmt::Display| {
            SourceFault::lasting(RefusalCode::NO_ADDRESS, &shown, why)
        };
        let region =
            if access.region.is_empty() { "us-east-1".to_owned() } else { access.region.clone() };
        // Amazon's own service responds under the bucket's name; other stores under the path.
        let (endpoint, style) = match access.endpoint.as_str() {
            "" => (format!("https://s3.{region}.amazonaws.com"), UrlStyle::VirtualHost),
            own => (own.to_owned(), UrlStyle::Path),
        };
        let endpoint =
            endpoint.parse().map_err(|_| fault(&format!("{endpoint:?} is not an endpoint")))?;
        let bucket =
            Bucket::new(endpoint, style, place.bucket.clone(), region).map_err(|e| fault(&e))?;
        let credentials =
            access.secret.as_ref().filter(|_| !access.user.is_empty()).map(|secret| match &access
                .session
            {
                Some(token) => {
                    Credentials::new_with_token(&access.user, secret.reveal(), token.reveal())
                }
                None => Credentials::new(&access.user, secret.reveal()),
            });
        Ok(Self { place, bucket, credentials, agent: agent(&access)? })
    }

    fn prefix(&self, directory: &str) -> String {
        let parts = [self.place.prefix.as_str(), directory];
        parts.iter().filter(|p| !p.is_empty()).map(|p| format!("{p}/")).collect()
    }

    /// Lists all keys below a prefix, and the prefixes up to the next slash.
    fn keys(&self, prefix: &str) -> Result<(Vec<Entry>, Vec<String>), SourceFault> {
        let place = format!("s3://{}/{prefix}", self.place.bucket);
        let (mut entries, mut below) = (Vec::new(), Vec::new());
        let mut token: Option<String> = None;
        // Pages hold up to 1000 keys; the limit also stops a store that sends empty pages.
        for _ in 0..MAX_ENTRIES / 100 {
            if entries.len() + below.len() > MAX_ENTRIES {
                break;
            }
            let mut action = ListObjectsV2::new(&self.bucket, self.credentials.as_ref());
            action.with_delimiter("/");
            action.with_prefix(prefix);
            if let Some(token) = token.take() {
                action.with_continuation_token(token);
            }
            let list = self.page(&place, &action)?;
            for object in list.contents {
                let Some(name) = object.key.strip_prefix(prefix).filter(|name| !name.is_empty())
                else {
                    continue;
                };
                let modified = object.last_modified.as_deref().unwrap_or_default();
                let modified = chrono::DateTime::parse_from_rfc3339(modified).ok();
                entries.push(Entry {
                    name: name.into(),
                    kind: EntryKind::File,
                    bytes: object.size,
                    // The date is cut to the second, the precision of the object's headers.
                    modified_ns: modified
                        .map_or(0, |t| t.timestamp().saturating_mul(1_000_000_000)),
                    tag: object.etag.unwrap_or_default(),
                    has_ranges: true,
                    ..Entry::named(name.into(), EntryKind::File)
                });
            }
            let cut = |p: &str| p.strip_prefix(prefix).map(|p| p.trim_end_matches('/').to_owned());
            below.extend(list.common_prefixes.iter().filter_map(|p| cut(&p.prefix)));
            match list.next_continuation_token {
                Some(next) => token = Some(next),
                None => return Ok((entries, below)),
            }
        }
        Err(endless(place))
    }

    fn page(
        &self,
        place: &str,
        action: &ListObjectsV2<'_>,
    ) -> Result<ListObjectsV2Response, SourceFault> {
        let url = action.sign(SIGNATURE_VALIDITY);
        let response = self.agent.get(url.as_str()).call().map_err(|e| no_response(place, &e))?;
        if response.status().as_u16() != 200 {
            return Err(refused(place, response.status()));
        }
        let text = listed(place, response)?;
        // A response that is cut and does not state its continuation is an error in the parser.
        ListObjectsV2::parse_response(&text)
            .map_err(|e| SourceFault::passing(place, format!("the list cannot be read: {e}")))
    }

    fn key(&self, directory: &str, entry: &Entry) -> (String, String) {
        let key = self.prefix(directory) + &entry.name.to_string_lossy();
        let place = format!("s3://{}/{key}", self.place.bucket);
        (key, place)
    }
}

impl Source for S3 {
    fn deliveries(&self) -> Result<Found, SourceFault> {
        let (_, below) = self.keys(&self.prefix(""))?;
        let names = below.into_iter().map(OsString::from).collect();
        Ok(Found { names, skipped: Vec::new() })
    }

    fn list(&self, directory: &str) -> Result<Vec<Entry>, SourceFault> {
        let (mut entries, below) = self.keys(&self.prefix(directory))?;
        if entries.is_empty() && below.is_empty() {
            return Err(SourceFault::lasting(
                RefusalCode::MISSING_FILE,
                self.place(directory),
                "not found",
            ));
        }
        entries.extend(below.into_iter().map(|name| Entry {
            name: name.into(),
            kind: EntryKind::Directory,
            bytes: Some(0),
            ..Entry::named(OsString::new(), EntryKind::Directory)
        }));
        Ok(entries)
    }

    fn connect(&self) -> Result<Box<dyn Connection>, SourceFault> {
        Ok(Box::new(self.clone()))
    }

    fn place(&self, directory: &str) -> String {
        format!("s3://{}/{}", self.place.bucket, self.prefix(directory))
            .trim_end_matches('/')
            .to_owned()
    }
}

impl Connection for S3 {
    fn read(
        &mut self,
        directory: &str,
        wanted: &Entry,
        span: Span,
        sink: &mut Sink<'_>,
    ) -> Result<(), SourceFault> {
        let (key, place) = self.key(directory, wanted);
        let url = self.bucket.get_object(self.credentials.as_ref(), &key).sign(SIGNATURE_VALIDITY);
        let request = ranged(self.agent.get(url.as_str()), wanted, span);
        let response = request.call().map_err(|e| no_response(&place, &e))?;
        copy_body(&place, response, wanted, span, sink)
    }

    fn stat(&mut self, directory: &str, wanted: &Entry) -> Result<Entry, SourceFault> {
        let (key, place) = self.key(directory, wanted);
        let url = self.bucket.head_object(self.credentials.as_ref(), &key).sign(SIGNATURE_VALIDITY);
        let response = self.agent.head(url.as_str()).call().map_err(|e| no_response(&place, &e))?;
        match response.status().as_u16() {
            200 => Ok(described(wanted.name.clone(), &response)),
            _ => Err(refused(&place, response.status())),
        }
    }
}
