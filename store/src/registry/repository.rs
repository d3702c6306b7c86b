//! One repository of a registry, and how anything is asked of it.

use std::time::Duration;

use reqwest::{
    Method,
    header::{ACCEPT, HeaderValue, LOCATION},
};
use url::Url;

use super::{RegistryError, RegistryOptions, RegistryProfile, Scope, login::Login};
use crate::net::{Answer, Plaintext, Request, Wire, is_loopback};

/// One repository of a registry. Blocks; any number of threads may use it at once.
#[derive(Debug)]
pub struct Repository {
    /// `…/v2/<repository>/`.
    base: Url,
    name: String,
    wire: Wire,
    login: Login,
    retry_base: Duration,
    profile: RegistryProfile,
}

/// Tells whether a registry, a host with perhaps a port, is on this very machine.
#[must_use]
pub fn is_on_this_machine(registry: &str) -> bool {
    Url::parse(&format!("https://{registry}/")).is_ok_and(|url| is_loopback(&url))
}

impl Repository {
    /// Makes ready to speak to `registry`, a host with perhaps a port, about its repository `name`. Asks nobody.
    pub fn open(
        registry: &str,
        name: &str,
        options: &RegistryOptions,
    ) -> Result<Self, RegistryError> {
        let scheme = match options.plaintext {
            Plaintext::Allowed => "http",
            Plaintext::Denied => "https",
        };
        let base = Url::parse(&format!("{scheme}://{registry}/v2/{name}/")).map_err(|_| {
            RegistryError::Settings {
                registry: registry.to_owned(),
                reason: "the registry has no address",
            }
        })?;
        let wire = Wire::new(&options.net, options.patience()).map_err(|source| {
            RegistryError::Unreachable {
                what: registry.to_owned(),
                source,
            }
        })?;
        Ok(Self {
            login: Login::new(
                registry.to_owned(),
                name.to_owned(),
                options.credentials.clone(),
                options.plaintext,
            ),
            name: name.to_owned(),
            wire,
            base,
            retry_base: options.net.timeouts.retry_base,
            profile: options.profile,
        })
    }

    /// Returns the name of the repository.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the registry's name and the repository's, as images are called without their tags.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.login.registry(), self.name)
    }

    /// Returns what is known of the registry.
    #[must_use]
    pub const fn profile(&self) -> &RegistryProfile {
        &self.profile
    }

    /// Says from which other repositories of the registry blobs may be taken, so that the registry is asked for the right to read them.
    pub fn add_sources(&self, repositories: impl IntoIterator<Item = String>) {
        self.login.add_sources(repositories);
    }

    pub(super) const fn retry_base(&self) -> Duration {
        self.retry_base
    }

    /// The address of something of the repository, which is made of digests and tags alone.
    pub(crate) fn address(&self, kind: &str, what: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{kind}/{what}", self.base.path()));
        url
    }

    /// A request about a manifest of one of the given media types.
    pub(crate) fn manifest_request(
        &self,
        method: Method,
        reference: &str,
        media_types: &'static str,
    ) -> Request {
        let mut request = Request::new(method, self.address("manifests", reference));
        request
            .headers
            .insert(ACCEPT, HeaderValue::from_static(media_types));
        request
    }

    /// Sends a request; when the registry wants to know who asks, once more with that. Does not try again otherwise.
    pub(crate) fn send(
        &self,
        request: &Request,
        scope: Scope,
        what: &str,
    ) -> Result<Answer, RegistryError> {
        let mut request = request.clone();
        // Only the registry itself is told who asks, wherever it sends an upload.
        let is_ours = request.url.origin() == self.base.origin();
        let known = self.login.current(scope).filter(|_| is_ours);
        request.authorization = known.as_ref().map(|known| known.header.clone());
        let sent = |request: &Request| {
            let answer = self.wire.send(request);
            answer.map_err(|source| RegistryError::Unreachable {
                what: what.to_owned(),
                source,
            })
        };
        let answer = sent(&request)?;
        if answer.status != 401 || !is_ours {
            return Ok(answer);
        }
        let used = known.map(|known| known.number);
        match self
            .login
            .log_in(&self.wire, &answer.headers, scope, used, what)?
        {
            None => Ok(answer),
            Some(header) => {
                request.authorization = Some(header);
                sent(&request)
            }
        }
    }

    /// Returns where an answer to a request at `from` says that an upload goes on.
    pub(crate) fn location(&self, from: &Url, answer: &Answer) -> Option<Url> {
        let location = answer.headers.get(LOCATION)?.to_str().ok()?;
        let mut location = from.join(location).ok()?;
        // Registries behind a proxy that does their TLS often do not know that they are spoken to over `https`.
        if self.base.scheme() == "https" && location.scheme() == "http" {
            // Cannot fail: both schemes are special ones with a host.
            let _changed: Result<(), ()> = location.set_scheme("https");
        }
        matches!(location.scheme(), "http" | "https").then_some(location)
    }
}
