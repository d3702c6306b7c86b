//! Caches that did not do what they were asked, told once each.

use std::collections::BTreeMap;

use store::cache::pull::{Answer, CacheError, Puller};
use store::net::chain;

use crate::output::Printer;

/// Says of each cache that failed how it did first. That a cache does not have something is no failure; what it has without a trusted signature is worth a word when everything
/// has to come from caches.
pub(crate) fn tell_failures(printer: &Printer, puller: &Puller<'_>, is_needed: bool) {
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    for one in puller.answers() {
        let Answer::Failed(error) = &one.answer else {
            continue;
        };
        let is_worth_it = match error {
            CacheError::Absent { .. } | CacheError::Remembered { .. } => false,
            CacheError::Untrusted { .. } => is_needed,
            _ => true,
        };
        if is_worth_it {
            first.entry(one.cache).or_insert_with(|| chain(error));
        }
    }
    for (cache, failure) in first {
        printer.note(&format!(
            "warning: the cache `{cache}` was of no use: {failure}"
        ));
    }
}
