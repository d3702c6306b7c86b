//! What `object_store` sends and gets, watched: time limits, sizes, ranges, statuses.

use std::{pin::Pin, time::Duration};

use bytes::BytesMut;
use futures_util::StreamExt as _;
use object_store::{
    ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
        HttpResponseBody, HttpService,
    },
};
use reqwest::{
    Method,
    header::{HeaderMap, RANGE},
};
use tokio::time::timeout;

use crate::net::{NetError, NetOptions, Patience, client, content_range};

/// Bytes of a page of a listing at most. A page has up to 1000 names of up to 1 KiB, and some 300 bytes beside each.
const MAX_PAGE: u64 = 16 << 20;
/// Bytes of an error's text that are read so that the connection can be used again.
const MAX_ERROR: u64 = 64 << 10;

/// What was seen of an answer, in the causes of an error of `object_store`.
#[derive(Debug, thiserror::Error)]
pub(super) enum Seen {
    #[error("the server answered {code}")]
    Status { code: u16, headers: HeaderMap },
    #[error("the server sent the whole file")]
    Whole,
    #[error("the server sent another range")]
    Range {
        expected: (u64, u64),
        found: Option<(u64, u64)>,
    },
    #[error("the answer has more than {limit_bytes} bytes")]
    TooLarge { limit_bytes: u64 },
    #[error(transparent)]
    Net(NetError),
}

impl From<Seen> for HttpError {
    /// Of a kind that `object_store` does not try again.
    fn from(seen: Seen) -> Self {
        Self::new(HttpErrorKind::Unknown, seen)
    }
}

/// Gives `object_store` the one client that everything goes through.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    client: reqwest::Client,
    patience: Patience,
}

impl Connector {
    pub(super) fn new(options: &NetOptions, patience: Patience) -> Result<Self, NetError> {
        Ok(Self {
            client: client(options, patience)?,
            patience,
        })
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let expected = range(request.headers());
        let is_page = request
            .uri()
            .query()
            .is_some_and(|query| query.contains("list-type="));
        let limit = self.limit(&request);
        let response = within(limit, self.client.call(request)).await??;
        let code = response.status().as_u16();
        if !(200..=299).contains(&code) {
            let headers = response.headers().clone();
            // Who cannot send that either loses the connection, nothing else.
            drop(within(Duration::from_secs(1), collect(response, MAX_ERROR)).await);
            return Err(Seen::Status { code, headers }.into());
        }
        if let Some(expected) = expected {
            let found = content_range(response.headers()).map(|found| (found.start, found.end));
            if code == 200 {
                return Err(Seen::Whole.into());
            }
            if found != Some(expected) {
                return Err(Seen::Range { expected, found }.into());
            }
        }
        if is_page {
            return within(self.patience.stored, collect(response, MAX_PAGE)).await?;
        }
        Ok(response)
    }

    /// How long an answer may take to begin. A body gets the time that it needs at the slowest rate that counts as moving.
    fn limit(&self, request: &HttpRequest) -> Duration {
        if request.method() == Method::GET || request.method() == Method::HEAD {
            return self.patience.answer;
        }
        let periods = request.body().content_length() as u64 / self.patience.min_bytes.max(1);
        let sending = self
            .patience
            .stall
            .saturating_mul(u32::try_from(periods).unwrap_or(u32::MAX));
        self.patience.stored.saturating_add(sending)
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

impl HttpService for Connector {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(self.exchange(request))
    }
}

async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Result<T, HttpError> {
    timeout(limit, future)
        .await
        .map_err(|_elapsed| Seen::Net(NetError::Silent { limit }).into())
}

/// Reads an answer whole.
async fn collect(response: HttpResponse, limit_bytes: u64) -> Result<HttpResponse, HttpError> {
    let (head, body) = response.into_parts();
    let mut stream = body.bytes_stream();
    let mut bytes = BytesMut::new();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece?);
        if bytes.len() as u64 > limit_bytes {
            return Err(Seen::TooLarge { limit_bytes }.into());
        }
    }
    Ok(HttpResponse::from_parts(
        head,
        HttpResponseBody::from(bytes.freeze()),
    ))
}

/// The range that a request asks for, as `object_store` writes it.
fn range(headers: &HeaderMap) -> Option<(u64, u64)> {
    let text = headers.get(RANGE)?.to_str().ok()?;
    let (start, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    Some((
        start.parse().ok()?,
        last.parse::<u64>().ok()?.checked_add(1)?,
    ))
}
