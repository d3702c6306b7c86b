//! Manifests that refer to others: signatures, attestations. OCI distribution-spec 1.1, "Listing Referrers".

use bytes::Bytes;
use reqwest::{Method, header::LINK};

use super::{
    RegistryError, Repository, Scope,
    answer::whole,
    read::{MAX_PAGE, MAX_PAGES, next_page},
};
use crate::net::Request;

/// Tells that the registry has entered a manifest into the list of what refers to another one.
const SUBJECT: &str = "oci-subject";

/// Who keeps the list of what refers to a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferrersList {
    /// The registry.
    Registry,
    /// Whoever writes, under a tag that is made of the digest.
    Tag,
}

impl Repository {
    /// Returns what refers to the manifest with `digest`, an index in one or several pages; `None` if the registry keeps no such list.
    pub fn fetch_referrers(
        &self,
        digest: &str,
        what: &str,
    ) -> Result<Option<Vec<Vec<u8>>>, RegistryError> {
        if self.profile().referrers == Some(ReferrersList::Tag) {
            return Ok(None);
        }
        let mut url = self.address("referrers", digest);
        let mut pages = Vec::new();
        for _ in 0..MAX_PAGES {
            let request = Request::new(Method::GET, url.clone());
            let page = self.retried(|| {
                let answer = self.send(&request, Scope::Pull, what)?;
                if matches!(answer.status, 404 | 405 | 501) {
                    return Ok(None);
                }
                let link = answer.headers.get(LINK);
                let next = link.and_then(|link| next_page(&url, link));
                Ok(Some((next, whole(answer, MAX_PAGE, what)?)))
            })?;
            let Some((next, bytes)) = page else {
                return Ok(None);
            };
            pages.push(bytes);
            match next.filter(|next| next.origin() == url.origin()) {
                Some(next) => url = next,
                None => break,
            }
        }
        Ok(Some(pages))
    }

    /// Returns who keeps the list of what refers to the manifest with `digest`, asking the registry where that is not known.
    pub fn find_referrers_list(
        &self,
        digest: &str,
        what: &str,
    ) -> Result<ReferrersList, RegistryError> {
        if let Some(known) = self.profile().referrers {
            return Ok(known);
        }
        Ok(match self.fetch_referrers(digest, what)? {
            Some(_) => ReferrersList::Registry,
            None => ReferrersList::Tag,
        })
    }

    /// Writes a manifest that names another one as its subject. Tells who has to enter it into the list of that one.
    pub fn put_referrer(
        &self,
        media_type: &str,
        manifest: &Bytes,
        digest: &str,
        what: &str,
    ) -> Result<ReferrersList, RegistryError> {
        let headers = self.put(digest, media_type, manifest, digest, what)?;
        let known = self.profile().referrers;
        Ok(known.unwrap_or(if headers.contains_key(SUBJECT) {
            ReferrersList::Registry
        } else {
            ReferrersList::Tag
        }))
    }
}
