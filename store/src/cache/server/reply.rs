//! Answers, and files as their bodies.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt as _, sync::Arc};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Response, StatusCode,
    body::Frame,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
        WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
    },
};
use tokio::task::spawn_blocking;

use super::Refusal;

/// Bytes that are read of a file at once. Each connection has one such piece in memory, and what the system buffers.
const PIECE: u64 = 256 << 10;

pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;
pub(super) type Reply = Response<Body>;

/// An answer with a text, which ends with a line feed.
pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(whole(text.into()));
    *reply.status_mut() = status;
    set(&mut reply, CONTENT_TYPE, "text/plain; charset=utf-8");
    set(&mut reply, CACHE_CONTROL, "no-store");
    reply
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Reply {
    let mut reply = Response::new(whole(Bytes::new()));
    *reply.status_mut() = status;
    reply
}

/// An answer with bytes of a file.
pub(super) fn bytes(body: Body, length: u64) -> Reply {
    let mut reply = Response::new(body);
    set(&mut reply, CONTENT_TYPE, "application/octet-stream");
    set(&mut reply, X_CONTENT_TYPE_OPTIONS, "nosniff");
    reply
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(length));
    reply
}

pub(super) fn refusal(refusal: &Refusal) -> Reply {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut reply = text(status, format!("{}\n", refusal.public_text()));
    match refusal {
        Refusal::NoToken => set(&mut reply, WWW_AUTHENTICATE, "Bearer realm=\"pith cache\""),
        Refusal::WrongToken => set(
            &mut reply,
            WWW_AUTHENTICATE,
            "Bearer realm=\"pith cache\", error=\"invalid_token\"",
        ),
        Refusal::Method => set(&mut reply, ALLOW, "GET, HEAD, PUT, OPTIONS"),
        _ => {}
    }
    if let Some(seconds) = refusal.retry_after() {
        reply
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    reply
}

pub(super) fn set(reply: &mut Reply, name: HeaderName, value: &'static str) {
    reply
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
}

pub(super) fn whole(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// The body that has a part of a file. What is short is read at once: blocks for that. What is long is read as the client takes it.
pub(super) fn part_of(file: File, part: Range<u64>) -> io::Result<Body> {
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
