//! Any HTTP server: files by `GET`, and by `PUT` and `DELETE` where it takes them.

use std::{
    io::{self, Read},
    ops::Range,
};

use bytes::Bytes;
use reqwest::{
    Method,
    header::{ALLOW, CONTENT_TYPE, HeaderValue, RANGE},
};
use url::Url;

use super::{
    Backend, BackendError, BackendOptions, CacheUrl, Corruption, FileKind, ListedFile, Plaintext,
    exact::{After, Exact},
};
use crate::{
    cache::format::CacheName,
    net::{Answer, Authorization, Body, NetError, Request, Wire, content_range, is_loopback},
};

/// How many bytes are read in vain at most when a server sends the whole file in the place of a part: as many as a pack may have.
const MAX_SKIPPED: u64 = 32 << 20;

#[derive(Debug)]
pub(super) struct Http {
    url: CacheUrl,
    base: Url,
    wire: Wire,
    authorization: Option<Authorization>,
}

impl Http {
    pub(super) fn open(
        url: &CacheUrl,
        base: &Url,
        options: &BackendOptions,
    ) -> Result<Self, BackendError> {
        Ok(Self {
            url: url.clone(),
            authorization: authorization(url, base, options)?,
            wire: wire(url, options)?,
            base: base.clone(),
        })
    }

    fn request(&self, method: Method, name: &CacheName) -> Request {
        Request {
            authorization: self.authorization.clone(),
            ..Request::new(method, file_url(&self.base, &name.to_string()))
        }
    }

    fn file(&self, name: &CacheName) -> String {
        format!("{}/{name}", self.url)
    }

    fn send(&self, request: &Request, name: &CacheName) -> Result<Answer, BackendError> {
        self.wire
            .send(request)
            .map_err(|source| unreachable(self.file(name), source))
    }

    /// What an answer means that is no success of something that changes the cache.
    fn refused(&self, answer: &Answer, name: &CacheName, action: &'static str) -> BackendError {
        match answer.status {
            // What servers say that only know how to read.
            404 | 405 | 501 => BackendError::Unsupported {
                cache: self.url.to_string(),
                action,
            },
            code => BackendError::from_status(self.file(name), code, &answer.headers),
        }
    }
}

impl Backend for Http {
    fn url(&self) -> &CacheUrl {
        &self.url
    }

    fn read(&self, name: &CacheName, limit: u64) -> Result<Vec<u8>, BackendError> {
        let answer = self.send(&self.request(Method::GET, name), name)?;
        whole(answer, limit, self.file(name))
    }

    fn open_range(
        &self,
        name: &CacheName,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send>, BackendError> {
        if range.is_empty() {
            return Ok(Box::new(io::empty()));
        }
        let mut request = self.request(Method::GET, name);
        ask_for(&mut request, &range);
        part(self.send(&request, name)?, &range, self.file(name))
    }

    fn exists(&self, name: &CacheName) -> Result<bool, BackendError> {
        let answer = self.send(&self.request(Method::HEAD, name), name)?;
        is_there(&answer, self.file(name))
    }

    fn write(&self, name: &CacheName, bytes: Bytes) -> Result<(), BackendError> {
        let mut request = self.request(Method::PUT, name);
        request.headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        request.body = Some(bytes);
        let answer = self.send(&request, name)?;
        match answer.status {
            200 | 201 | 204 => Ok(()),
            _ => Err(self.refused(&answer, name, "be written to")),
        }
    }

    fn flush(&self) -> Result<(), BackendError> {
        Ok(())
    }

    fn remove(&self, name: &CacheName) -> Result<(), BackendError> {
        let answer = self.send(&self.request(Method::DELETE, name), name)?;
        match answer.status {
            200 | 202 | 204 | 404 | 410 => Ok(()),
            _ => Err(self.refused(&answer, name, "remove files")),
        }
    }

    fn list(&self, _: FileKind, _: &mut dyn FnMut(ListedFile)) -> Result<(), BackendError> {
        Err(BackendError::Unsupported {
            cache: self.url.to_string(),
            action: "list its files",
        })
    }

    fn is_writable(&self) -> Result<bool, BackendError> {
        let request = Request {
            authorization: self.authorization.clone(),
            ..Request::new(Method::OPTIONS, self.base.clone())
        };
        let answer = self
            .wire
            .send(&request)
            .map_err(|source| unreachable(self.url.to_string(), source))?;
        let allowed = answer
            .headers
            .get(ALLOW)
            .and_then(|allow| allow.to_str().ok());
        // Who does not answer this question may still take files.
        Ok(match (answer.status, allowed) {
            (200..=299, Some(allowed)) => allowed.split(',').any(|method| method.trim() == "PUT"),
            (401 | 403, _) => false,
            _ => true,
        })
    }
}

/// Makes what sends requests to a cache's server.
pub(super) fn wire(url: &CacheUrl, options: &BackendOptions) -> Result<Wire, BackendError> {
    Wire::new(&options.net, options.patience())
        .map_err(|source| unreachable(url.to_string(), source))
}

/// Returns the header that tells the server of `base` who asks.
fn authorization(
    url: &CacheUrl,
    base: &Url,
    options: &BackendOptions,
) -> Result<Option<Authorization>, BackendError> {
    let credentials = options.credentials.as_ref().or(url.credentials.as_ref());
    let Some(credentials) = credentials else {
        return Ok(None);
    };
    let is_private = base.scheme() == "https" || is_loopback(base);
    if !is_private && options.plaintext == Plaintext::Denied {
        return Err(BackendError::Plaintext {
            cache: url.to_string(),
        });
    }
    match credentials.authorization() {
        Some(authorization) => Ok(Some(authorization)),
        None => Err(BackendError::Settings {
            cache: url.to_string(),
            reason: "the token or the password has characters that no header can have".to_owned(),
        }),
    }
}

pub(super) const fn unreachable(file: String, source: NetError) -> BackendError {
    BackendError::Unreachable { file, source }
}

/// Adds to a request which part of the file is wanted, which must not be empty.
pub(super) fn ask_for(request: &mut Request, range: &Range<u64>) {
    let text = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
    if let Ok(value) = HeaderValue::from_str(&text) {
        request.headers.insert(RANGE, value);
    }
}

/// Reads the whole file that an answer has.
pub(super) fn whole(answer: Answer, limit: u64, file: String) -> Result<Vec<u8>, BackendError> {
    if answer.status != 200 {
        return Err(BackendError::from_status(
            file,
            answer.status,
            &answer.headers,
        ));
    }
    let too_large = |file| BackendError::Corrupt {
        file,
        problem: Corruption::TooLarge { limit_bytes: limit },
    };
    if answer.length.is_some_and(|length| length > limit) {
        return Err(too_large(file));
    }
    match answer.read_up_to(limit.saturating_add(1)) {
        Ok(bytes) if bytes.len() as u64 > limit => Err(too_large(file)),
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(BackendError::from_read(error, &file)),
    }
}

/// Opens the part of the file that an answer has, whether the server sent only that or the whole file.
pub(super) fn part(
    answer: Answer,
    range: &Range<u64>,
    file: String,
) -> Result<Box<dyn Read + Send>, BackendError> {
    let length = range.end - range.start;
    let wrong_length = |file, expected, found| BackendError::Corrupt {
        file,
        problem: Corruption::Length { expected, found },
    };
    match answer.status {
        206 => {
            let found = content_range(&answer.headers).map(|found| (found.start, found.end));
            if found != Some((range.start, range.end)) {
                return Err(BackendError::Corrupt {
                    file,
                    problem: Corruption::Range {
                        expected: (range.start, range.end),
                        found,
                    },
                });
            }
            match answer.length {
                Some(found) if found != length => Err(wrong_length(file, length, found)),
                _ => Ok(Box::new(Exact::new(answer.body, length, After::End, file))),
            }
        }
        200 => {
            if let Some(found) = answer.length.filter(|found| *found < range.end) {
                return Err(wrong_length(file, range.end, found));
            }
            skip(answer.body, range, file)
        }
        416 => {
            // `Content-Range: bytes */TOTAL` tells it, but whether that is true makes no difference.
            Err(wrong_length(file, range.end, 0))
        }
        code => Err(BackendError::from_status(file, code, &answer.headers)),
    }
}

/// Opens a part of a whole file that comes.
pub(super) fn skip(
    mut body: Body,
    range: &Range<u64>,
    file: String,
) -> Result<Box<dyn Read + Send>, BackendError> {
    if range.start > MAX_SKIPPED {
        return Err(BackendError::Corrupt {
            file,
            problem: Corruption::Range {
                expected: (range.start, range.end),
                found: None,
            },
        });
    }
    let skipped = io::copy(&mut (&mut body).take(range.start), &mut io::sink())
        .map_err(|error| BackendError::from_read(error, &file))?;
    if skipped < range.start {
        return Err(BackendError::Corrupt {
            file,
            problem: Corruption::Length {
                expected: range.end,
                found: skipped,
            },
        });
    }
    let length = range.end - range.start;
    Ok(Box::new(Exact::new(body, length, After::Anything, file)))
}

/// Reads the answer to a `HEAD`.
pub(super) fn is_there(answer: &Answer, file: String) -> Result<bool, BackendError> {
    match answer.status {
        200..=299 => Ok(true),
        code => match BackendError::from_status(file, code, &answer.headers) {
            BackendError::Absent { .. } => Ok(false),
            error => Err(error),
        },
    }
}

/// Returns the address of a file. Of the characters that names may have, `?` ends a path, and `+` is a space to some servers.
fn file_url(base: &Url, name: &str) -> Url {
    let mut url = base.clone();
    let escaped = name.replace('?', "%3F").replace('+', "%2B");
    url.set_path(&format!("{}{escaped}", base.path()));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_in_addresses() {
        let base = Url::parse("http://h/a%20b/").unwrap();
        assert_eq!(
            file_url(&base, "n/g++?=_.-x").as_str(),
            "http://h/a%20b/n/g%2B%2B%3F=_.-x"
        );
    }
}
