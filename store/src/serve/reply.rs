//! Answers, and files as their bodies.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt as _, sync::Arc};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Response, StatusCode,
    body::Frame,
    header::{
        ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName,
        HeaderValue, X_CONTENT_TYPE_OPTIONS,
    },
};
use tokio::task::spawn_blocking;

/// Bytes that are read of a file at once. Each connection has one such piece in memory, and what the system buffers.
const PIECE: u64 = 256 << 10;

/// The bytes of an answer.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;
/// An answer.
pub type Reply = Response<Body>;

/// An answer with a text, which ends with a line feed.
pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(whole(text.into()));
    *reply.status_mut() = status;
    set(&mut reply, CONTENT_TYPE, "text/plain; charset=utf-8");
    set(&mut reply, CACHE_CONTROL, "no-store");
    reply
}

/// An answer without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Reply {
    let mut reply = Response::new(whole(Bytes::new()));
    *reply.status_mut() = status;
    reply
}

/// An answer with bytes of a file.
#[must_use]
pub fn bytes(body: Body, length: u64) -> Reply {
    let mut reply = Response::new(body);
    set(&mut reply, CONTENT_TYPE, "application/octet-stream");
    set(&mut reply, X_CONTENT_TYPE_OPTIONS, "nosniff");
    reply
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(length));
    reply
}

/// An answer with all of a file of `size` bytes, or with the part that [`cut`](super::cut) found.
#[must_use]
pub fn ranged(body: Body, part: Option<&Range<u64>>, size: u64) -> Reply {
    let mut reply = bytes(body, part.map_or(size, |part| part.end - part.start));
    set(&mut reply, ACCEPT_RANGES, "bytes");
    if let Some(part) = part {
        let (status, range) = if part.is_empty() {
            (StatusCode::RANGE_NOT_SATISFIABLE, format!("bytes */{size}"))
        } else {
            let range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            (StatusCode::PARTIAL_CONTENT, range)
        };
        *reply.status_mut() = status;
        set_value(&mut reply, CONTENT_RANGE, &range);
    }
    reply
}

/// Sets a header.
pub fn set(reply: &mut Reply, name: HeaderName, value: &'static str) {
    reply
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
}

/// Sets a header to what was put together; what no header can hold is left out.
pub fn set_value(reply: &mut Reply, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
}

/// The body that is these bytes.
#[must_use]
pub fn whole(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// The body that has a part of a file. What is short is read at once: blocks for that. What is long is read as the client takes it.
pub fn part_of(file: File, part: Range<u64>) -> io::Result<Body> {
    if part.end - part.start <= PIECE {
        return Ok(whole(read_piece(&file, &part)?));
    }
    let file = Arc::new(file);
    let pieces = stream::try_unfold(part, move |rest| {
        let file = Arc::clone(&file);
        async move {
            if rest.is_empty() {
                return Ok(None);
            }
            let end = rest.end.min(rest.start + PIECE);
            let piece = rest.start..end;
            let read = spawn_blocking(move || read_piece(&file, &piece));
            let bytes = read.await.map_err(io::Error::other)??;
            Ok::<_, io::Error>(Some((Frame::data(bytes), end..rest.end)))
        }
    });
    Ok(StreamBody::new(pieces).boxed_unsync())
}

fn read_piece(file: &File, piece: &Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(piece.end - piece.start).unwrap_or(usize::MAX);
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, piece.start)?;
    Ok(bytes.into())
}
