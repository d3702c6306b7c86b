//! Addresses that are found in a list of links: `index+https://HOST/simple/NAME`.
//!
//! A package index (PEP 503, "Simple Repository API") says on one page for each project where its files lie, with the
//! digest of each in the link's fragment. Lock files often know nothing of a file but its digest, and mirrors put files
//! wherever they like; so the digest is what is looked for. Which link is followed is never part of a result: the bytes must
//! have the digest all the same.

use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use url::Url;

use super::http::{Http, Message};
use super::{Address, AttemptError, FetchError};
use crate::model::ContentDigest;

/// What an address begins with that is a list of links.
pub(super) const PREFIX: &str = "index+";
/// Pages larger than this are not read; the longest of the public index has 30 MB.
const MAX_BYTES: usize = 128 << 20;

/// Returns the page that `address` names, if it is one.
pub(super) fn page_of(address: &Address) -> Option<Address> {
    let url = address.url.strip_prefix(PREFIX)?;
    Some(Address {
        url: format!("{}/", url.trim_end_matches('/')),
        proxy: address.proxy.clone(),
    })
}

/// Why no link was found.
pub(super) enum Stop {
    /// The caller shall stop.
    Fatal(FetchError),
    /// The page does not help.
    Page(AttemptError),
}

/// Reads `page` and returns the address of the file with `digest`.
///
/// `check` is asked at least every `poll` whether to go on; a page of which nothing comes for `patience` is given up.
pub(super) fn locate(
    http: &Http,
    page: &Address,
    digest: &ContentDigest,
    (poll, patience): (Duration, Duration),
    check: impl Fn() -> Result<(), FetchError>,
) -> Result<Address, Stop> {
    let messages = http.open(page, 0);
    let mut bytes = Vec::new();
    let mut last = Instant::now();
    loop {
        check().map_err(Stop::Fatal)?;
        match messages.recv_timeout(poll) {
            Ok(Message::Head { .. }) => {}
            Ok(Message::Piece(piece)) => {
                bytes.extend(piece);
                last = Instant::now();
                if bytes.len() > MAX_BYTES {
                    let limit_bytes = MAX_BYTES as u64;
                    return Err(Stop::Page(AttemptError::TooLarge { limit_bytes }));
                }
            }
            Ok(Message::Failed(error)) => return Err(Stop::Page(error)),
            Ok(Message::End) => break,
            Err(RecvTimeoutError::Timeout) if last.elapsed() < patience => {}
            Err(RecvTimeoutError::Timeout) => {
                let (min_bytes, period) = (1, patience);
                return Err(Stop::Page(AttemptError::Stalled { min_bytes, period }));
            }
            Err(RecvTimeoutError::Disconnected) => {
                let message = "the transfer ended without a result".to_owned();
                return Err(Stop::Page(AttemptError::Connection { message }));
            }
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    match find_link(&text, &page.url, digest) {
        Some(url) => Ok(Address {
            url,
            proxy: page.proxy.clone(),
        }),
        None => Err(Stop::Page(AttemptError::NotListed { digest: *digest })),
    }
}

/// Returns the target of the link with `digest` in its fragment, without the fragment.
fn find_link(page: &str, base: &str, digest: &ContentDigest) -> Option<String> {
    let fragment = format!("#{}", digest.to_string().replacen(':', "=", 1));
    let base = Url::parse(base).ok()?;
    let links = page.match_indices(&fragment).filter_map(|(end, _)| {
        let before = page.get(..end)?;
        let quote = before.rfind(['"', '\''])?;
        before.get(..quote)?.trim_end().strip_suffix("href=")?;
        let target = before.get(quote + 1..)?.replace("&amp;", "&");
        let url = base.join(&target).ok()?;
        // A page from the network may not send us to a file of this machine.
        (matches!(url.scheme(), "https" | "http") || url.scheme() == base.scheme())
            .then(|| url.to_string())
    });
    links.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(page: &str) -> Option<String> {
        let digest = ContentDigest::Sha256([0xab; 32]);
        let page = page.replace("DIGEST", &"ab".repeat(32));
        find_link(&page, "https://i.example/root/simple/name/", &digest)
    }

    #[test]
    fn a_link_is_found_by_the_digest_in_its_fragment() {
        for (page, url) in [
            (
                "<a href=\"https://f.example/a.whl#sha256=00\">x</a>\n<a href=\"https://f.example/b.whl#sha256=DIGEST\" data-x=\"1\">",
                Some("https://f.example/b.whl"),
            ),
            (
                "<a data-y=\"2\" href='../../packages/b.whl?a=1&amp;b=2#sha256=DIGEST'>",
                Some("https://i.example/root/packages/b.whl?a=1&b=2"),
            ),
            (
                "<a href=\"https://f.example/a.whl#sha256=00\">DIGEST</a>",
                None,
            ),
            ("<a href=\"file:///etc/passwd#sha256=DIGEST\">", None),
            ("#sha256=DIGEST", None),
        ] {
            assert_eq!(find(page).as_deref(), url, "{page}");
        }
    }
}
