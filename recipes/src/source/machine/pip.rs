//! pip's package index as the mirror `pypi`.
//!
//! The setting is `index-url` of the section `global` (or `install`); its last part `simple` is the index of names and
//! does not belong to the base under which the files lie.

use super::ini;

pub(super) fn index(text: &str) -> Option<String> {
    let url = ini::find(text, Some("install"), "index-url")
        .or_else(|| ini::find(text, Some("global"), "index-url"))?;
    let url = url.trim_end_matches('/');
    let base = url.strip_suffix("/simple").unwrap_or(url);
    (base.starts_with("https://") || base.starts_with("http://")).then(|| base.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_named_without_its_last_part() {
        let text = "[global]\ncert = /x\nindex_url = https://i.example/a/simple/\n[other]\nindex-url = https://no.example\n";
        assert_eq!(index(text).as_deref(), Some("https://i.example/a"));
        assert_eq!(index("[global]\ncert = /x\n"), None);
        assert_eq!(index("index-url = https://no.section.example\n"), None);
    }
}
