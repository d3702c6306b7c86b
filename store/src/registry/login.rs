//! Telling a registry who asks: passwords, and tokens that a server which the registry names gives out for a while.
//!
//! The registry's challenge is that of RFC 9110, 11.6.1; the token's request that of Docker's "Token Authentication Specification", which all registries
//! speak.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE},
};
use serde::Deserialize;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::{
    RegistryError,
    answer::{message, whole},
};
use crate::net::{Authorization, Credentials, Plaintext, Request, Wire, is_loopback};

/// Bytes of an answer with a token at most.
const MAX_ANSWER: u64 = 1 << 20;
/// What this program is called where an identity token is traded.
const CLIENT: &str = "pith";

/// What is going to be done, for which a token has to be good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Pull,
    Push,
}

/// A header that the registry accepted before, or may.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) header: Authorization,
    /// Which one it is, so that of many threads whose token has expired one asks for another.
    pub(super) number: u64,
    is_for_push: bool,
}

#[derive(Debug)]
pub(super) struct Login {
    registry: String,
    repository: String,
    credentials: Option<Credentials>,
    plaintext: Plaintext,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: Option<Known>,
    count: u64,
    /// Other repositories of the registry, which a token for pushing is good to read for too.
    sources: BTreeSet<String>,
}

/// What a registry wants.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

/// What a token has to be good for.
#[derive(Debug)]
struct Wanted {
    service: Option<String>,
    scopes: Vec<String>,
}

impl Wanted {
    /// Asks for a token in the way of a header that says who asks, or of nobody.
    fn by_name(&self, mut url: Url) -> Request {
        url.query_pairs_mut()
            .extend_pairs(self.service.iter().map(|service| ("service", service)))
            .extend_pairs(self.scopes.iter().map(|scope| ("scope", scope)));
        Request::new(Method::GET, url)
    }

    /// Trades an identity token. Docker's "Token Authentication Specification", "OAuth2"; RFC 6749, 6.
    fn by_identity(&self, url: Url, token: &str) -> Request {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token")
            .append_pair("client_id", CLIENT)
            .extend_pairs(self.service.iter().map(|service| ("service", service)))
            .append_pair("scope", &self.scopes.join(" "))
            .append_pair("refresh_token", token);
        let mut request = Request::new(Method::POST, url);
        request.headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        let form = Zeroizing::new(form.finish().into_bytes());
        request.body = Some(Bytes::from_owner(form));
        request
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Login {
    pub(super) fn new(
        registry: String,
        repository: String,
        credentials: Option<Credentials>,
        plaintext: Plaintext,
    ) -> Self {
        let state = State {
            // A token that the user brought is the registry's own.
            known: match &credentials {
                Some(token @ Credentials::Bearer(_)) => token.authorization().map(|header| Known {
                    header,
                    number: 0,
                    is_for_push: true,
                }),
                _ => None,
            },
            count: 1,
            sources: BTreeSet::new(),
        };
        Self {
            registry,
            repository,
            credentials,
            plaintext,
            state: Mutex::new(state),
        }
    }

    /// The host that is asked, with perhaps a port.
    pub(super) fn registry(&self) -> &str {
        &self.registry
    }

    /// Has tokens for pushing, from the next one on, be good for reading other repositories of the registry too.
    pub(super) fn add_sources(&self, repositories: impl IntoIterator<Item = String>) {
        self.state().sources.extend(repositories);
    }

    /// Returns the header to try first.
    pub(super) fn current(&self, scope: Scope) -> Option<Known> {
        let known = self.state().known.clone();
        known.filter(|known| known.is_for_push || scope == Scope::Pull)
    }

    /// Returns the header to try after a request with `used` was answered 401; `None` if there is nothing to log in with.
    pub(super) fn log_in(
        &self,
        wire: &Wire,
        answer: &HeaderMap,
        scope: Scope,
        used: Option<u64>,
        what: &str,
    ) -> Result<Option<Authorization>, RegistryError> {
        // Held while the token is asked for: the others want the same one.
        let mut state = self.state();
        let is_newer = |known: &&Known| {
            used.is_none_or(|used| used < known.number)
                && (known.is_for_push || scope == Scope::Pull)
        };
        if let Some(known) = state.known.as_ref().filter(is_newer) {
            return Ok(Some(known.header.clone()));
        }
        let header = match (challenge(answer), &self.credentials) {
            (_, Some(Credentials::Bearer(_)))
            | (None, _)
            | (Some(Challenge::Basic), None | Some(Credentials::Identity(_))) => return Ok(None),
            (Some(Challenge::Basic), Some(credentials)) => self.header(credentials)?,
            (Some(Challenge::Bearer { realm, service }), _) => {
                let actions = match scope {
                    Scope::Pull => "pull",
                    Scope::Push => "pull,push",
                };
                let mut scopes = vec![format!("repository:{}:{actions}", self.repository)];
                if scope == Scope::Push {
                    let sources = state.sources.iter();
                    scopes.extend(sources.map(|source| format!("repository:{source}:pull")));
                }
                let wanted = Wanted { service, scopes };
                self.fetch_token(wire, &realm, &wanted, what)?
            }
        };
        let number = state.count;
        state.count += 1;
        state.known = Some(Known {
            header: header.clone(),
            number,
            is_for_push: scope == Scope::Push,
        });
        Ok(Some(header))
    }

    fn fetch_token(
        &self,
        wire: &Wire,
        realm: &str,
        wanted: &Wanted,
        what: &str,
    ) -> Result<Authorization, RegistryError> {
        let url = Url::parse(realm)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| self.settings("the registry names no address to log in at"))?;
        let is_private = url.scheme() == "https" || is_loopback(&url);
        if self.credentials.is_some() && !is_private && self.plaintext == Plaintext::Denied {
            return Err(RegistryError::Plaintext {
                registry: self.registry.clone(),
            });
        }
        let request = match &self.credentials {
            Some(Credentials::Identity(token)) => wanted.by_identity(url, token),
            Some(credentials) => Request {
                authorization: Some(self.header(credentials)?),
                ..wanted.by_name(url)
            },
            None => wanted.by_name(url),
        };
        let answer = wire
            .send(&request)
            .map_err(|source| RegistryError::Unreachable {
                what: what.to_owned(),
                source,
            })?;
        // Where one logs in, 400 and 404 say nothing else either.
        if matches!(answer.status, 400..=404) {
            let what = what.to_owned();
            return Err(if self.credentials.is_none() {
                RegistryError::LogIn { what, scheme: None }
            } else {
                RegistryError::Forbidden {
                    what,
                    message: message(&answer.problem),
                }
            });
        }
        let text = Zeroizing::new(whole(answer, MAX_ANSWER, what)?);
        let token: TokenAnswer = serde_json::from_slice(&text)
            .map_err(|_| self.settings("the registry's log-in does not answer with a token"))?;
        token
            .token
            .or(token.access_token)
            .map(|token| Credentials::Bearer(Zeroizing::new(token)))
            .and_then(|token| token.authorization())
            .ok_or_else(|| self.settings("the registry's log-in answers without a token"))
    }

    fn header(&self, credentials: &Credentials) -> Result<Authorization, RegistryError> {
        credentials.authorization().ok_or_else(|| {
            self.settings("the token or the password has characters that no header can have")
        })
    }

    fn settings(&self, reason: &'static str) -> RegistryError {
        RegistryError::Settings {
            registry: self.registry.clone(),
            reason,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the first challenge of an answer that is understood, `Bearer` before `Basic`.
fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let texts = || {
        headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
    };
    let after = |text: &str, scheme: &str| {
        let (start, rest) = text.split_at_checked(scheme.len())?;
        (start.eq_ignore_ascii_case(scheme) && (rest.is_empty() || rest.starts_with(' ')))
            .then(|| rest.trim_start().to_owned())
    };
    let bearer = texts().find_map(|text| {
        let parameters = parameters(&after(text, "Bearer")?);
        let value = |key: &str| {
            let found = parameters
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(key));
            found.map(|(_, value)| value.clone())
        };
        Some(Challenge::Bearer {
            realm: value("realm")?,
            service: value("service"),
        })
    });
    bearer.or_else(|| texts().find_map(|text| after(text, "Basic").map(|_| Challenge::Basic)))
}

/// Reads `key="value",key=value`; stops at what it does not understand.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut parameters = Vec::new();
    let mut rest = text;
    while let Some((key, after)) = rest.trim_start_matches([',', ' ']).split_once('=') {
        let mut value = String::new();
        if let Some(quoted) = after.strip_prefix('"') {
            let mut characters = quoted.chars();
            loop {
                match characters.next() {
                    Some('"') => break,
                    Some('\\') => value.extend(characters.next()),
                    Some(character) => value.push(character),
                    None => return parameters,
                }
            }
            rest = characters.as_str();
        } else {
            let end = after.find([',', ' ']).unwrap_or(after.len());
            value.push_str(&after[..end]);
            rest = &after[end..];
        }
        parameters.push((key.trim().to_owned(), value));
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{NetOptions, Patience};

    fn challenge_of(texts: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for text in texts {
            headers.append(WWW_AUTHENTICATE, text.parse().unwrap());
        }
        challenge(&headers)
    }

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
        })
    }

    #[test]
    fn a_password_is_not_given_to_a_log_in_that_others_can_read() {
        let login = {
            let credentials = Credentials::Basic {
                user: "user".to_owned(),
                password: Zeroizing::new("secret".to_owned()),
            };
            let name = |text: &str| text.to_owned();
            Login::new(name("C"), name("r"), Some(credentials), Plaintext::Denied)
        };
        let wire = Wire::new(&NetOptions::default(), Patience::default()).unwrap();
        let mut headers = HeaderMap::new();
        let challenge = "Bearer realm=\"http://login.invalid/token\""
            .parse()
            .unwrap();
        headers.append(WWW_AUTHENTICATE, challenge);
        let result = login.log_in(&wire, &headers, Scope::Pull, None, "F");
        assert!(
            matches!(result, Err(RegistryError::Plaintext { .. })),
            "{result:?}"
        );
    }

    #[test]
    fn challenges_are_read() {
        for (texts, expected) in [
            (
                [r#"Bearer realm="https://a/t?x=1,2",service="r \"1\"",scope="repository:a:pull""#]
                    .as_slice(),
                bearer("https://a/t?x=1,2", Some("r \"1\"")),
            ),
            (
                &["bearer Realm=https://a , error=x"],
                bearer("https://a", None),
            ),
            (
                &["Basic realm=\"x\"", "Bearer realm=\"y\""],
                bearer("y", None),
            ),
            (&["Basic"], Some(Challenge::Basic)),
            (&["Bearer service=\"x\""], None),
            (&["Bearer realm=\"x"], None),
            (&["Bearerx realm=\"x\"", "Negotiate", ""], None),
            (&[], None),
        ] {
            assert_eq!(challenge_of(texts), expected, "{texts:?}");
        }
    }
}
