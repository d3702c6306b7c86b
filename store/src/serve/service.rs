//! What a server does with requests.

use std::{net::IpAddr, sync::Arc};

use hyper::{
    HeaderMap, Method, Request, StatusCode,
    body::Incoming,
    header::{EXPECT, RETRY_AFTER},
};
use tokio::{task::spawn_blocking, time::Instant};

use super::{Caller, Denied, Gate, Reply, ServerEvent, limits::Client, set_value, text};

/// What a server does with requests.
pub trait Service: Send + Sync + Sized + 'static {
    /// Why something is not done.
    type Refusal: From<Denied> + Send;

    /// Returns what knows who may do what.
    fn gate(&self) -> &Gate;

    /// Tells whether the server can do what it is there for, which `/healthz` answers.
    fn health(self: &Arc<Self>) -> impl Future<Output = Result<(), Self::Refusal>> + Send {
        async { Ok(()) }
    }

    /// Does what is asked, `/healthz` and `/metrics` apart, of somebody who has not asked too often. A body is taken out of `body` by who reads it; what is left there is read and forgotten.
    fn answer(
        self: &Arc<Self>,
        question: Question,
        body: &mut Option<Incoming>,
    ) -> impl Future<Output = Result<Reply, Self::Refusal>> + Send;

    /// Returns the answer that says why not.
    fn refuse(&self, refusal: &Self::Refusal) -> Reply;

    /// Returns after how many seconds the same request makes sense again.
    fn retry_after(refusal: &Self::Refusal) -> Option<u64>;

    /// Returns the chain of causes in one line, for the server's owner.
    fn explain(refusal: &Self::Refusal) -> String;
}

/// A request without its body, and who asks it.
#[derive(Clone, Debug)]
pub struct Question {
    /// What is to be done.
    pub method: Method,
    /// With what, beginning with a slash, as it came.
    pub path: String,
    /// What follows the question mark, as it came.
    pub query: Option<String>,
    /// What else was said.
    pub headers: HeaderMap,
    /// From where.
    pub client: IpAddr,
    /// Who asks, and what they may.
    pub caller: Caller,
}

impl Question {
    /// Whether something is read and nothing changed.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }

    /// Counts the request, or says how long to wait with it.
    fn admit(&self, gate: &Gate) -> Result<(), Denied> {
        gate.admit(self.caller.client(self.client))
    }

    /// Returns a header, if it is text.
    #[must_use]
    pub fn header(&self, name: &hyper::header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Runs what blocks on a thread for that.
pub async fn blocking<T: Send + 'static, R: From<Denied> + Send + 'static>(
    work: impl FnOnce() -> Result<T, R> + Send + 'static,
) -> Result<T, R> {
    // It is taken back only when the server ends.
    let done = spawn_blocking(work).await;
    done.map_err(|_| R::from(Denied::Stopped))?
}

/// Answers what all servers answer alike, and has the service answer everything else.
async fn ask<S: Service>(
    service: &Arc<S>,
    question: Question,
    body: &mut Option<Incoming>,
) -> Result<Reply, S::Refusal> {
    let is_read_at = |path| question.is_read() && question.path == path;
    // Whoever watches a server asks often, and without a token.
    if is_read_at("/healthz") {
        service.health().await?;
        return Ok(text(StatusCode::OK, "ok\n"));
    }
    let gate = service.gate();
    question.admit(gate)?;
    if is_read_at("/metrics") {
        question.caller.needs(question.caller.may_read)?;
        return Ok(gate.counters());
    }
    service.answer(question, body).await
}

/// Answers a request, whatever it is.
pub(super) async fn answer<S: Service>(
    service: Arc<S>,
    client: IpAddr,
    request: Request<Incoming>,
) -> Reply {
    let started = Instant::now();
    let gate = service.gate();
    let in_flight = gate.metrics().begin();
    let (head, body) = request.into_parts();
    let mut body = Some(body);
    let caller = gate.caller(&head.headers);
    let token = caller.as_ref().ok().and_then(|caller| caller.token.clone());
    let path = head.uri.path().to_owned();
    // Who asks before sending reads the answer first.
    let is_sent = !head.headers.contains_key(EXPECT);
    let outcome = match caller {
        // Who tries tokens has no more tries than anybody has requests.
        Err(denied) => gate
            .admit(Client::Address(client))
            .and_then(|()| Err(denied))
            .map_err(S::Refusal::from),
        Ok(caller) => {
            let question = Question {
                method: head.method.clone(),
                path: path.clone(),
                query: head.uri.query().map(str::to_owned),
                headers: head.headers,
                client,
                caller,
            };
            ask(&service, question, &mut body).await
        }
    };
    let (answer, why) = match outcome {
        Ok(answer) => (answer, None),
        Err(refusal) => {
            let mut answer = service.refuse(&refusal);
            if let Some(seconds) = S::retry_after(&refusal) {
                set_value(&mut answer, RETRY_AFTER, &seconds.to_string());
            }
            (answer, Some(S::explain(&refusal)))
        }
    };
    if let Some(body) = body.filter(|_| why.is_some() && is_sent) {
        gate.drain(body).await;
    }
    let took = started.elapsed();
    let status = answer.status().as_u16();
    drop(in_flight);
    let method = head.method.as_str();
    gate.metrics().answered(method, status, took);
    gate.tell(&ServerEvent::Answered {
        client,
        token: token.as_ref().map(|token| &token.name),
        method,
        path: &path,
        status,
        refusal: why,
        took,
    });
    answer
}
