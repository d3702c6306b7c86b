//! pip's package index as the mirror `pypi`.
//!
//! The setting is `index-url` of the section `global` (or `install`); its last part `simple` is the index of names and
//! does not belong to the base under which the files lie.

use super::ini;

pub(super) fn index(text: &str) -> Option<String> {
    let url = ini::find(text, Some("install"), "index-url")
        .or_else(|| ini::find(text, Some("global"), "index-url"))?;
    base(&url)
}

/// Returns the index that `pip download --help` says it uses by default.
pub(super) fn default_index(help: &str) -> Option<String> {
    let (_, option) = help.split_once("--index-url <url>")?;
    let (_, default) = option.split_once("(default ")?;
    let (url, _) = default.split_once(')')?;
    // pip hides a password, and without it the address is another one.
    base(url).filter(|url| !url.contains("****"))
}

/// Returns the address above the index of names; what is no address of the web is none.
pub(super) fn base(url: &str) -> Option<String> {
    let url = url.trim().trim_end_matches('/');
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

    #[test]
    fn the_default_is_read_from_the_help() {
        for (help, expected) in [
            (
                "  -i, --index-url <url>  Base URL (default https://i.example/simple). This\n",
                Some("https://i.example"),
            ),
            (
                "  --index-url <url>  (default https://me:****@i.example/simple).",
                None,
            ),
            ("  --index-url <url>  (default None).", None),
            ("  --extra-index-url <url>  Extra", None),
            ("", None),
        ] {
            assert_eq!(default_index(help).as_deref(), expected, "{help}");
        }
    }
}
