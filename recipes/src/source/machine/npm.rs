//! npm's registry as the mirror `npm`.

use super::ini;

pub(super) fn registry(text: &str) -> Option<String> {
    base(&ini::find(text, None, "registry")?)
}

/// Returns the registry from what `npm config get registry` printed.
pub(super) fn answer(text: &str) -> Option<String> {
    text.lines().rev().find_map(base)
}

/// Returns an address without its last slash; what is no address of the web is none.
pub(super) fn base(url: &str) -> Option<String> {
    let url = url.trim();
    (url.starts_with("https://") || url.starts_with("http://"))
        .then(|| url.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_the_general_one_and_not_that_of_a_scope() {
        let text = "; c\n@mine:registry=https://scoped.example/\nregistry=https://r.example/npm/\nfund=false\n";
        assert_eq!(registry(text).as_deref(), Some("https://r.example/npm"));
        assert_eq!(registry("fund=false\n"), None);
    }
}
